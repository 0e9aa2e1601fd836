package dashboard

import (
	"context"
	"net/http"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// locatePage is the data of the page of a search for a job that has not ended.
type locatePage struct {
	JID   string `json:"jid"`
	Read  int64  `json:"read"`  // jobs that were looked at so far
	About int64  `json:"about"` // how many there are, about
	After string `json:"after"` // the value of the parameter after with which the search goes on
	Next  string `json:"-"`     // the path of the page that goes on
}

// locate finds a job. It reads all jobs until it finds this one, for searchTime at most. Then
// searching is the page that says how far it came, from which a person goes on.
func (q *request) locate(jid string) (p inspect.Place, j *queue.Job, searching *view, err error) {
	from, err := inspect.ParseCursor(q.FormValue("after"))
	if err != nil {
		return p, nil, nil, &problem{http.StatusBadRequest, err.Error()}
	}
	within, cancel := context.WithTimeout(q.ctx, q.d.searchTime)
	defer cancel()
	p, j, reached, err := q.in().LocateFrom(within, jid, from)
	if j != nil || err != nil {
		return p, j, nil, err
	}
	stats, err := q.in().Stats(q.ctx)
	if err != nil {
		return p, nil, nil, err
	}
	data := locatePage{JID: jid, Read: reached.Read, After: reached.String(),
		About: stats.Enqueued + stats.Retries + stats.Scheduled + stats.Dead,
		Next:  q.d.path("jobs", jid) + "?after=" + reached.String()}
	return p, nil, &view{page: "locate", title: q.t("title.locate", jid), data: data,
		status: http.StatusAccepted}, nil
}
