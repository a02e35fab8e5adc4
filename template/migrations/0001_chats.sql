CREATE TABLE chats (
	id TEXT NOT NULL,
	owner TEXT NOT NULL,
	created_at INTEGER NOT NULL,
	provider TEXT NOT NULL,
	model TEXT NOT NULL,
	messages TEXT NOT NULL,
	text TEXT NOT NULL,
	finish_reason TEXT NOT NULL,
	input_tokens INTEGER,
	output_tokens INTEGER,
	PRIMARY KEY (id)
);

CREATE INDEX chats_by_owner ON chats (owner, created_at, id);

CREATE INDEX chats_by_age ON chats (created_at);
