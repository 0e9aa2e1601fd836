package interop

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/kyujobs/kyu/test/kit/pgtest"
)

// psql runs statements as Rails would send them, with Postgres's own client through PgBouncer.
func psql(k *kase, url, sql string) {
	k.Helper()
	cmd := exec.Command("psql", "--no-psqlrc", "--quiet", "-v", "ON_ERROR_STOP=1", url)
	cmd.Stdin = strings.NewReader(sql)
	if out, err := cmd.CombinedOutput(); err != nil {
		k.Fatalf("psql: %v: %s", err, out)
	}
}

// TestOutbox writes rows with plain SQL, as docs/postgres.md says. A Kyu worker that runs no job of
// theirs moves them to Redis, and Ruby's Sidekiq runs them.
func TestOutbox(t *testing.T) {
	k := newKase(t)
	cluster := pgtest.StartCluster(t)
	url, _ := cluster.Pooler()
	k.Env = append(k.Env, "DATABASE_URL="+cluster.URL)
	k.OK("0003_outbox.sql", "migrate")
	k.WorkerWith([]string{"DATABASE_URL=" + url}, "-q", "elsewhere")
	k.Sidekiq("-q", "default")
	t.Run("Ruby runs what was committed, and nothing else", func(t *testing.T) {
		psql(k, url, `BEGIN;
			INSERT INTO kyu_outbox (queue, payload)
				VALUES ('default', '{"class":"Test::Record","args":["least"]}');
			COMMIT;
			BEGIN;
			INSERT INTO kyu_outbox (queue, payload)
				VALUES ('default', '{"class":"Test::Record","args":["never"]}');
			ROLLBACK;
			INSERT INTO kyu_outbox (queue, at, payload) VALUES ('default', now() + interval '1 s',
				'{"class":"Test::Record","args":["later"]}');`)
		records := k.ran("run", 2)
		k.sameJSON("args of the first", records[0].Args, `["least"]`)
		k.sameJSON("args of the second", records[1].Args, `["later"]`)
		k.Equal("records", len(k.Records("run")), 2)
	})
	t.Run("Ruby runs the payload that its own client makes", func(t *testing.T) {
		k.Clear()
		var payload string
		k.ruby.Do(&payload, `item = Sidekiq::Client.new.send(:normalize_item,
			"class" => Test::Record, "args" => [12345678901234567890123, "é"])
			item["enqueued_at"] = Time.now.to_f; Sidekiq.dump_json(item)`)
		psql(k, url, "INSERT INTO kyu_outbox (payload) VALUES ('"+payload+"')")
		k.sameJSON("args", k.ran("run", 1)[0].Args, `[12345678901234567890123,"é"]`)
	})
	t.Run("a job that fails is retried", func(t *testing.T) {
		psql(k, url, `INSERT INTO kyu_outbox (queue, payload)
			VALUES ('default', '{"class":"Test::Fail","args":["boom"]}')`)
		j, _ := k.one("retry")
		k.Equal("error", j.String("error_message"), "boom")
	})
}
