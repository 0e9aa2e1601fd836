-- Tables that Mastodon does not have.

-- +goose Up
-- Remote objects as they were fetched, with the headers for a conditional request.
CREATE TABLE kyu_resources (
  url           text PRIMARY KEY,
  body          json NOT NULL, -- as it came: json, not jsonb, keeps every byte
  etag          text NOT NULL DEFAULT '',
  last_modified text NOT NULL DEFAULT '',
  fetched_at    timestamptz NOT NULL DEFAULT now()
);

-- The URLs of the images of link previews. Mastodon stores a copy of the image instead.
CREATE TABLE kyu_preview_images (
  preview_card_id bigint PRIMARY KEY,
  url             text NOT NULL
);
