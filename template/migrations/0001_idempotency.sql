CREATE TABLE chat_keys (
	owner TEXT NOT NULL,
	"key" TEXT NOT NULL,
	fingerprint TEXT NOT NULL,
	chat_id TEXT NOT NULL,
	claimed_at INTEGER NOT NULL,
	PRIMARY KEY (owner, "key")
);

CREATE INDEX chat_keys_by_chat ON chat_keys (chat_id);

CREATE INDEX chat_keys_by_age ON chat_keys (claimed_at);

-- A deleted chat frees its key, however it was deleted.
CREATE TRIGGER chat_keys_of_deleted_chats AFTER DELETE ON chats BEGIN
	DELETE FROM chat_keys WHERE chat_id = old.id;
END;
