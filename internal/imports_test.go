package internal_test

import (
	"os/exec"
	"strings"
	"testing"
)

// allowed is the import plan of docs/internals.md: a package may import those of our packages
// that are listed behind it. All packages may import internal/env, failpoint, sdnotify,
// version and queue/envelope.
var allowed = map[string]string{
	"queue/envelope": "", "internal/redisdb": "", "queue": "internal/redisdb",
	"capability/cron": "internal/redisdb internal/rubyyaml queue queue/inspect",
	"queue/inspect":   "internal/redisdb queue", "internal/protocol": "queue",
	"worker":            "internal/protocol internal/redisdb queue",
	"worker/workertest": "queue worker", "database": "queue", "database/migrate": "database",
	"capability/inbox": "queue", "capability/outbox": "capability/inbox database " +
		"internal/redisdb queue",
	"jobs":    "database internal/guard internal/httpsig queue",
	"monitor": "queue queue/inspect worker", "tracing": "queue worker", "deploy/systemd": "",
	"dashboard/access":  "queue",
	"capability/lanes":  "internal/redisdb queue queue/inspect",
	"capability/unique": "internal/redisdb queue queue/inspect worker",
	"capability/spool":  "internal/redisdb queue",
	"cli": "capability/cron capability/lanes capability/unique internal/manpage internal/redisdb " +
		"internal/rubyyaml monitor queue worker",
	"dashboard/live": "",
	"loadtest": "loadtest/compare loadtest/live loadtest/pages loadtest/shards " +
		"loadtest/starvation",
	"loadtest/shards": "loadtest/lab queue",
	"loadtest/pages":  "dashboard loadtest/lab queue/inspect",
	"loadtest/compare": "capability/outbox database/migrate loadtest/lab internal/kerneltimer " +
		"test/kit/pgserver queue",
	"loadtest/live":       "dashboard/live loadtest/lab",
	"loadtest/starvation": "capability/lanes loadtest/lab queue", "loadtest/lab": "queue",
	"internal/mastodon": "capability/lanes capability/outbox cli database jobs queue worker",
	"cmd/worker":        "internal/mastodon",
	"internal/doctor": "capability/cron capability/lanes capability/outbox database " +
		"internal/redisdb queue queue/inspect",
	"cmd/workerctl": "capability/cron capability/lanes capability/outbox capability/unique " +
		"database database/migrate deploy/systemd cmd/workerctl/top internal/doctor " +
		"internal/mastodon internal/redisdb internal/text queue queue/inspect",
	"database/activity": "database",
	"dashboard": "capability/cron capability/lanes capability/outbox capability/unique " +
		"dashboard/access dashboard/live database database/activity internal/doctor " +
		"internal/redisdb internal/text queue queue/inspect",
	"cmd/dashboard": "capability/cron capability/lanes capability/unique dashboard " +
		"dashboard/access dashboard/live internal/doctor internal/manpage queue queue/inspect",
	"cmd/workerctl/top":     "internal/redisdb internal/text queue queue/inspect",
	"test/kit/testworker":   "cli worker internal/mastodon test/kit/testjobs",
	"test/kit/testjobs":     "capability/inbox jobs queue worker internal/kerneltimer",
	"examples/hello":        "cli worker",
	"examples/demo":         "database/migrate internal/httpsig test/kit/pgserver queue",
	"test/kit/redistest":    "queue test/kit/testwait",
	"test/kit/rediscluster": "internal/redisdb queue test/kit/redistest test/kit/testwait",
	"test/kit/pgserver":     "",
	"test/kit/pgtest":       "test/kit/pgserver test/kit/redistest test/kit/testwait",
	"test/kit/smtptest":     "test/kit/redistest test/kit/testwait",
	"internal/guard":        "", "internal/httpsig": "", "internal/rubyyaml": "",
	"internal/text": "", "internal/manpage": "",
	"internal/env": "", "internal/failpoint": "", "internal/sdnotify": "", "internal/version": "",
	"test/kit/testwait": "", "test/kit/faultproxy": "", "internal/kerneltimer": "",
	"test/kit/harness": "queue/inspect test/kit/redistest test/kit/testwait queue",
	"internal":         "", "test/acceptance": "", "test/interop": "", "test/faults": "",
	"test/browser":      "",
	"test/faults/model": "capability/unique internal/protocol queue",
}

func TestImports(t *testing.T) {
	t.Run("follow the plan", func(t *testing.T) {
		out, err := exec.Command("go", "list", "-f", "{{.ImportPath}} {{join .Imports \" \"}}",
			"github.com/kyujobs/kyu/...").Output()
		if err != nil {
			t.Fatal(err)
		}
		const prefix = "github.com/kyujobs/kyu/"
		everybody := " internal/env internal/failpoint internal/sdnotify internal/version " +
			"queue/envelope "
		for line := range strings.Lines(string(out)) {
			words := strings.Fields(line)
			name := strings.TrimPrefix(words[0], prefix)
			may, known := allowed[name]
			if !known {
				t.Errorf("package %s is not in the plan of docs/internals.md", name)
				continue
			}
			for _, path := range words[1:] {
				ours, ok := strings.CutPrefix(path, prefix)
				if ok && !strings.Contains(" "+may+everybody, " "+ours+" ") &&
					!strings.Contains(" "+may+" ", " "+ours+" ") {
					t.Errorf("%s imports %s", name, ours)
				}
				if name == "worker" && strings.Contains(path, "jackc/pgx") {
					t.Error("worker imports pgx")
				}
				if name != "tracing" && strings.HasPrefix(path, "go.opentelemetry.io/") {
					t.Errorf("%s imports OpenTelemetry, so all programs would link it", name)
				}
			}
		}
	})
}
