package queue_test

import (
	"regexp"
	"testing"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/worker/workertest"
)

func TestPushActiveJob(t *testing.T) {
	fake := &workertest.Fake{}
	jid, err := queue.NewClient(fake).PushActiveJob(t.Context(), "WelcomeJob",
		[]any{1, map[string]any{"_aj_globalid": "gid://app/Account/7"}},
		queue.Options{Queue: "mailers", Extra: map[string]any{"locale": "ja"}})
	if err != nil {
		t.Fatal(err)
	}
	j := fake.Jobs()[0]
	t.Run("pushes the wrapper's class with the options", func(t *testing.T) {
		same(t, "the class", j.Class, "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper")
		same(t, "the JID", j.JID, jid)
		same(t, "the queue", j.Queue, "mailers")
		same(t, "the extra field", j.String("locale"), "ja")
	})
	t.Run("wraps the class and its arguments", func(t *testing.T) {
		class, args := j.Unwrapped()
		same(t, "the wrapped class", class, "WelcomeJob")
		same(t, "the class to show", j.DisplayClass(), "WelcomeJob")
		want := `[1,{"_aj_globalid":"gid://app/Account/7"}]`
		same(t, "the wrapped arguments", string(args), want)
	})
	t.Run("writes all fields that Rails reads", func(t *testing.T) {
		inner := `\{"arguments":\[.*\],"enqueued_at":"[^"]+Z","exception_executions":\{\},` +
			`"executions":0,"job_class":"WelcomeJob",` +
			`"job_id":"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",` +
			`"locale":"en","priority":null,"provider_job_id":null,"queue_name":"mailers",` +
			`"timezone":"UTC"\}`
		if !regexp.MustCompile(inner).MatchString(j.Raw()) {
			t.Errorf("%s", j.Raw())
		}
	})
}
