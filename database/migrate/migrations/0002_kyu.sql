-- What Mastodon has no table for.

-- +goose Up
-- Remote objects as they were fetched, with what a conditional request needs.
CREATE TABLE kyu_resources (
  url           text PRIMARY KEY,
  body          json NOT NULL, -- as it came: json, not jsonb, keeps every byte
  etag          text NOT NULL DEFAULT '',
  last_modified text NOT NULL DEFAULT '',
  fetched_at    timestamptz NOT NULL DEFAULT now()
);

-- Where the picture of a link preview is; Mastodon keeps a copy of it instead.
CREATE TABLE kyu_preview_images (
  preview_card_id bigint PRIMARY KEY,
  url             text NOT NULL
);
