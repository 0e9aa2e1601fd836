package dashboard

import (
	"slices"

	"github.com/kyujobs/kyu/queue/inspect"
)

// heldPage is the data of the page of held classes.
type heldPage struct {
	Classes []heldClass `json:"classes"`
}

// heldClass is a class that has held jobs.
type heldClass struct {
	inspect.Held
	Workers int `json:"workers"` // live ones that have a handler for it
}

func (q *request) held() (*view, error) {
	list, err := q.in().HeldClasses(q.ctx)
	if err != nil {
		return nil, err
	}
	served, err := q.in().Served(q.ctx)
	p := heldPage{Classes: []heldClass{}}
	for _, h := range list {
		c := heldClass{Held: h}
		for _, s := range served {
			if slices.Contains(s.Classes, h.Class) {
				c.Workers++
			}
		}
		p.Classes = append(p.Classes, c)
	}
	return &view{page: "held", nav: "held", title: q.t("nav.held"), data: p}, err
}
