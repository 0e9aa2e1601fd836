package dashboard

import (
	"slices"
	"strconv"
	"time"

	"github.com/kyujobs/kyu/queue/inspect"
)

// classHours are the lengths of time that the page of classes can show, in hours. The first is the
// default.
var classHours = []int{1, 8, 24, 72}

// classesPage is the data of the page of classes.
type classesPage struct {
	Hours   int                   `json:"hours"`
	Classes []inspect.ClassStatus `json:"classes"` // the one that takes the most time is first
	Pager   pager                 `json:"page"`
}

// AllHours are those that can be chosen.
func (p classesPage) AllHours() []int { return classHours }

func (q *request) classes() (*view, error) {
	p := classesPage{Hours: classHours[0], Pager: q.pager(), Classes: []inspect.ClassStatus{}}
	n, err := strconv.Atoi(q.FormValue("hours"))
	if err == nil && slices.Contains(classHours, n) {
		p.Hours = n
		p.Pager.query.Set("hours", strconv.Itoa(n))
	}
	list, err := q.in().Classes(q.ctx, time.Duration(p.Hours)*time.Hour)
	p.Classes = append(p.Classes, part(&p.Pager, list)...)
	return &view{page: "classes", nav: "classes", title: q.t("nav.classes"), data: p}, err
}

// percent is a share of 1 in whole percent. A small share is not nothing.
func percent(lang string, share float64) string {
	if share > 0 && share < 0.01 {
		return "<" + say(lang, "unit.percent", 1)
	}
	return say(lang, "unit.percent", int(share*100+.5))
}

// failedShare is the share of the runs that failed.
func failedShare(c inspect.ClassStatus) float64 {
	if c.Runs == 0 {
		return 0
	}
	return float64(c.Failures) / float64(c.Runs)
}

// classesRoutes is the page of classes.
func (d *Dashboard) classesRoutes() []route { return d.both("/classes", (*request).classes) }
