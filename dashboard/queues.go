package dashboard

import (
	"context"

	"github.com/kyujobs/kyu/queue/inspect"
)

func (q *request) queues() (*view, error) {
	list, err := q.in().QueueStatus(q.ctx)
	return &view{page: "queues", nav: "queues", title: q.t("nav.queues"),
		data: append([]inspect.QueueStatus{}, list...)}, err
}

// queueStatus is one queue. One to which no job was pushed yet has no status.
func (q *request) queueStatus(name string) (*inspect.QueueStatus, error) {
	list, err := q.in().QueueStatus(q.ctx)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if list[i].Name == name {
			return &list[i], nil
		}
	}
	info, err := q.in().Queue(q.ctx, name)
	return &inspect.QueueStatus{QueueInfo: info, Processes: []string{}}, err
}

func (q *request) pause() (*outcome, error) {
	return q.steer("pause", "paused ", q.d.Store.Pause)
}

func (q *request) unpause() (*outcome, error) {
	return q.steer("unpause", "unpaused ", q.d.Store.Unpause)
}

// steer pauses a queue, or ends its pause.
func (q *request) steer(verb, done string, change func(context.Context, string) error) (*outcome,
	error) {
	s, err := openQueue(q)
	if err == nil {
		err = change(q.ctx, s.Name)
	}
	if err != nil {
		return nil, err
	}
	q.acted("queue "+verb, done+s.Name)
	return &outcome{flash{q.t("flash."+verb, s.Name), false}, s.Path}, nil
}
