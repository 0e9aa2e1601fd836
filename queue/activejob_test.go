package queue

import (
	"context"
	"regexp"
	"testing"

	"github.com/kyujobs/kyu/queue/envelope"
)

func TestPushActiveJob(t *testing.T) {
	collect := &collector{}
	c := NewClient(collect)
	jid, err := c.PushActiveJob(t.Context(),
		"WelcomeJob", []any{1, map[string]any{"_aj_globalid": "gid://app/Account/7"}},
		Options{Queue: "mailers", Extra: map[string]any{"locale": "ja"}})
	if err != nil {
		t.Fatal(err)
	}
	j, err := envelope.ParseJob(collect.payloads[0])
	if err != nil {
		t.Fatal(err)
	}
	class, args := j.Unwrapped()
	if j.JID != jid || j.Class != "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper" ||
		j.DisplayClass() != "WelcomeJob" ||
		class != "WelcomeJob" || string(args) != `[1,{"_aj_globalid":"gid://app/Account/7"}]` ||
		j.Queue != "mailers" || j.String("locale") != "ja" {
		t.Errorf("%s", j.Raw())
	}
	inner := `\{"arguments":\[.*\],"enqueued_at":"[^"]+Z","exception_executions":\{\},` +
		`"executions":0,"job_class":"WelcomeJob",` +
		`"job_id":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",` +
		`"locale":"en","priority":null,"provider_job_id":null,"queue_name":"mailers",` +
		`"timezone":"UTC"\}`
	if !regexp.MustCompile(inner).MatchString(j.Raw()) {
		t.Errorf("%s", j.Raw())
	}
}

// collector keeps what is pushed.
type collector struct{ payloads []string }

func (c *collector) PushBatches(_ context.Context, batches []Batch) error {
	for _, b := range batches {
		for _, j := range b.Jobs {
			c.payloads = append(c.payloads, j.Payload)
		}
	}
	return nil
}
