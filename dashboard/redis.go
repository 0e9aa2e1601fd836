package dashboard

import (
	"slices"

	"github.com/kyujobs/kyu/internal/doctor"
	"github.com/kyujobs/kyu/queue/inspect"
)

// redisPage is the data of the page of Redis.
type redisPage struct {
	*inspect.Server
	Findings []doctor.Finding `json:"findings"` // of doctor
}

// MemoryShare is the share of its memory that Redis uses, in percent; 0 without a limit.
func (p redisPage) MemoryShare() int64 {
	if p.Memory.Most == 0 {
		return 0
	}
	return p.Memory.Used * 100 / p.Memory.Most
}

// examination is a look at the running system with the settings of the dashboard.
func (q *request) examination() *doctor.Examination {
	o := &q.d.Options
	return &doctor.Examination{Store: q.d.Store, Inspector: q.d.Inspector,
		Settings: doctor.Settings{Cache: o.Cache, Database: o.Postgres.Config,
			Direct: o.Postgres.Direct, PgBouncer: o.Postgres.PgBouncer,
			RubyPool: o.Postgres.RubyPool,
			Others:   doctor.Others{Web: o.Postgres.Web, Streaming: o.Postgres.Streaming}}}
}

// about are the findings about some things, the worst first.
func about(list []doctor.Finding, things ...string) []doctor.Finding {
	some := []doctor.Finding{}
	for _, level := range []string{doctor.Wrong, doctor.Warning, doctor.Good} {
		for _, f := range list {
			if f.Level == level && slices.Contains(things, f.About) {
				some = append(some, f)
			}
		}
	}
	return some
}

func (q *request) redis() (*view, error) {
	server, err := q.in().Server(q.ctx)
	if err != nil {
		return nil, err
	}
	e := q.examination()
	e.Redis(q.ctx)
	return &view{page: "redis", nav: "redis", title: q.t("nav.redis"),
		data: redisPage{server, about(e.Findings, "redis")}}, nil
}
