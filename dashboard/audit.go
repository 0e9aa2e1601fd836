package dashboard

import (
	"strings"

	"github.com/kyujobs/kyu/queue/inspect"
)

// searchedActs is how many acts a text is looked for in.
const searchedActs = 10_000

// auditPage is the data of the page of what people have changed.
type auditPage struct {
	Text string        `json:"text"`
	Acts []inspect.Act `json:"acts"` // the latest first
}

func (q *request) audit() (*view, error) {
	p, count := auditPage{Text: strings.TrimSpace(q.FormValue("text")), Acts: []inspect.Act{}},
		int64(listed)
	if p.Text != "" {
		count = searchedActs
	}
	acts, err := q.in().Acts(q.ctx, count)
	for _, a := range acts {
		all := strings.Join([]string{a.By, a.Host, a.Command, a.What}, " ")
		if len(p.Acts) < listed && strings.Contains(all, p.Text) {
			p.Acts = append(p.Acts, a)
		}
	}
	return &view{page: "audit", nav: "audit", title: q.t("nav.audit"), data: p}, err
}
