package dashboard

import (
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/dashboard/access"
)

// queuesWithLanes is the data of the page of the queues that have lanes: limits by key. What
// threads ran lately, on lines that are also called lanes, is another page (lanes.go).
type queuesWithLanes struct {
	Queues []lanedQueue `json:"queues"` // by name
}

// lanedQueue is a queue with lanes.
type lanedQueue struct{ lanes.Status }

// Word is the state: on, off, beside, if lanes are off because of a process of Ruby's, or
// suspended, if they are because a bulk operation goes through the queue.
func (q lanedQueue) Word() string {
	if q.Beside != "" && !q.Off() {
		return "beside"
	}
	if q.Suspended > 0 && !q.Off() {
		return "suspended"
	}
	return q.State
}

// queueLanes is the data of the page of the lanes of a queue.
type queueLanes struct {
	Queue lanedQueue   `json:"queue"`
	Lanes []lanes.Lane `json:"lanes"` // those with the most parked jobs at first
}

// lanesShown is how many lanes a page lists.
const lanesShown = 100

func (q *request) laneControl() lanes.Control { return lanes.Control{Store: q.d.Store} }

func (q *request) queuesWithLanes() (*view, error) {
	control, p := q.laneControl(), queuesWithLanes{Queues: []lanedQueue{}}
	names, err := control.Queues(q.ctx)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		s, err := control.Status(q.ctx, name)
		if errors.Is(err, lanes.ErrNoRule) {
			continue // it was just forgotten
		}
		if err != nil {
			return nil, err
		}
		p.Queues = append(p.Queues, lanedQueue{s})
	}
	return &view{page: "queueswithlanes", nav: "lanes", title: q.t("nav.lanes"), data: p}, nil
}

func (q *request) queueLanes() (*view, error) {
	name, control := q.PathValue("name"), q.laneControl()
	s, err := control.Status(q.ctx, name)
	if err != nil {
		return nil, q.noRule(name, err)
	}
	list, err := control.Largest(q.ctx, name, lanesShown)
	return &view{page: "queuelanes", nav: "lanes", title: q.t("queuelanes.title", name),
		data: queueLanes{lanedQueue{s}, append([]lanes.Lane{}, list...)}}, err
}

// noRule makes a page of the error that a queue has no lanes.
func (q *request) noRule(name string, err error) error {
	if errors.Is(err, lanes.ErrNoRule) {
		return &problem{http.StatusNotFound, q.t("queuelanes.no_rule", name)}
	}
	return err
}

// steerLanes does something with the lanes of a queue, and records it. It shows the line say.
func (q *request) steerLanes(verb, what, say string, err error) (*outcome, error) {
	name := q.PathValue("name")
	if err != nil {
		return nil, q.noRule(name, err)
	}
	q.acted("lanes "+verb, what)
	return &outcome{flash{say, false}, q.d.path("lanes", name)}, nil
}

// setLanes gives a queue the rule of the form, and turns its lanes on.
func (q *request) setLanes() (*outcome, error) {
	if err := q.readForm(); err != nil {
		return nil, err
	}
	name, control := q.PathValue("name"), q.laneControl()
	if _, err := control.Status(q.ctx, name); err != nil {
		return nil, q.noRule(name, err)
	}
	rule, err := lanes.ParseRule(strings.TrimSpace(q.PostFormValue("rule")))
	if err != nil {
		return nil, &problem{http.StatusBadRequest, err.Error()}
	}
	ruby, err := control.Ruby(q.ctx)
	if err != nil {
		return nil, err
	}
	if who := ruby[name]; who != "" && !rule.BesideRuby {
		return nil, &problem{http.StatusConflict, q.t("queuelanes.beside", who)}
	}
	err = control.Set(q.ctx, name, rule)
	return q.steerLanes("set", "set the rule of "+name+": "+rule.String(),
		q.t("queuelanes.was_set", name), err)
}

// drainLanes turns the lanes of a queue off, and puts its parked jobs back.
func (q *request) drainLanes() (*outcome, error) {
	name := q.PathValue("name")
	n, err := q.laneControl().Drain(q.ctx, name)
	return q.steerLanes("drain", "turned the lanes of "+name+" off, and put "+number(n)+
		" jobs back", q.t("queuelanes.was_drained", name, number(n)), err)
}

// closeLane closes a lane for the minutes of the form.
func (q *request) closeLane() (*outcome, error) {
	if err := q.readForm(); err != nil {
		return nil, err
	}
	d, err := time.ParseDuration(q.PostFormValue("for"))
	if err != nil || d < time.Millisecond {
		return nil, &problem{http.StatusBadRequest, q.t("queuelanes.bad_time")}
	}
	return q.gate("close", d)
}

func (q *request) openLane() (*outcome, error) {
	if err := q.readForm(); err != nil {
		return nil, err
	}
	return q.gate("open", 0)
}

// gate closes the lane of the form for a time, or opens it.
func (q *request) gate(verb string, d time.Duration) (*outcome, error) {
	name, lane := q.PathValue("name"), q.PostFormValue("lane")
	what, say := "opened the lane "+lane+" of "+name, q.t("queuelanes.was_opened", lane)
	if d > 0 {
		what = "closed the lane " + lane + " of " + name + " for " + d.String()
		say = q.t("queuelanes.was_closed", lane, age(q.lang, d.Seconds()))
	}
	return q.steerLanes(verb, what, say, q.laneControl().Close(q.ctx, name, lane, d))
}

// queueLanesActs are the routes that change lanes.
func queueLanesActs() (list []route) {
	for pattern, act := range map[string]func(*request) (*outcome, error){
		"/lanes/{name}/set": (*request).setLanes, "/lanes/{name}/drain": (*request).drainLanes,
		"/lanes/{name}/close": (*request).closeLane, "/lanes/{name}/open": (*request).openLane,
	} {
		list = append(list, route{method: http.MethodPost, pattern: pattern,
			role: access.Operator, act: act})
	}
	return list
}
