"""The tables, as the migrations make them."""

from sqlalchemy import Column, Index, Integer, MetaData, Table, Text

metadata = MetaData()

chats = Table(
    "chats",
    metadata,
    Column("id", Text, primary_key=True),
    Column("owner", Text, nullable=False),
    # Milliseconds since the epoch, UTC.
    Column("created_at", Integer, nullable=False),
    Column("provider", Text, nullable=False),
    Column("model", Text, nullable=False),
    # JSON: the messages as they were sent, [{"role", "content"}].
    Column("messages", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("finish_reason", Text, nullable=False),
    Column("input_tokens", Integer),
    Column("output_tokens", Integer),
)

Index("chats_by_owner", chats.c.owner, chats.c.created_at, chats.c.id)
Index("chats_by_age", chats.c.created_at)

# Which chat an Idempotency-Key stands for. A trigger of the migration frees it with its chat.
chat_keys = Table(
    "chat_keys",
    metadata,
    Column("owner", Text, primary_key=True),
    # SHA-256 of the key, and of the request's body.
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, nullable=False),
    # Taken before the chat is there.
    Column("chat_id", Text, nullable=False),
    Column("claimed_at", Integer, nullable=False),
)

Index("chat_keys_by_chat", chat_keys.c.chat_id)
Index("chat_keys_by_age", chat_keys.c.claimed_at)
