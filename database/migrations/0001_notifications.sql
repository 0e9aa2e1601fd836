-- Notifications of local users. The key is what makes LocalNotificationWorker
-- idempotent: the same activity notifies an account once per type.
CREATE TABLE IF NOT EXISTS kyu_notifications (
  id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  account_id    bigint      NOT NULL,
  activity_type text        NOT NULL,
  activity_id   bigint      NOT NULL,
  type          text        NOT NULL,
  created_at    timestamptz NOT NULL DEFAULT now(),
  UNIQUE (account_id, activity_type, activity_id, type)
);
