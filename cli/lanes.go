package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/internal/redisdb"
	"github.com/kyujobs/kyu/queue"
	"go.yaml.in/yaml/v3"
)

// laneRules are the rules of lanes that this worker's configuration names, by queue.
type laneRules map[string]lanes.Rule

// resolveLanes reads the rules of --lanes, or else those of the file.
func (s *settings) resolveLanes() {
	rules, source := laneRules{}, "--lanes"
	for _, text := range s.o.lanes {
		name, rule, _ := strings.Cut(text, ",")
		s.addLanes(rules, source+" "+text, strings.TrimSpace(name), rule)
	}
	if v := s.f.value("lanes"); v != nil && len(s.o.lanes) == 0 {
		source = s.f.source("lanes")
		if v.Kind != yaml.MappingNode {
			s.env.Problem("%s: want a rule for each queue, such as push: key=args.2|host,max=8",
				source)
			return
		}
		for i := 0; i+1 < len(v.Content); i += 2 {
			name := strings.TrimPrefix(v.Content[i].Value, ":")
			rule, err := ruleText(v.Content[i+1])
			if err != nil {
				s.env.Problem("%s.%s: %w", source, name, err)
				continue
			}
			s.addLanes(rules, source+"."+name, name, rule)
		}
	}
	s.lanes = rules
	for _, name := range slices.Sorted(maps.Keys(rules)) {
		s.env.Note("lanes of "+name, rules[name].String(), source)
	}
}

// addLanes adds the rule of a queue, or a problem for each thing that is wrong with it.
func (s *settings) addLanes(rules laneRules, where, name, text string) {
	rule, err := lanes.ParseRule(text)
	if name == "" {
		err = errors.Join(errors.New("want QUEUE,RULE, such as push,key=args.2|host,max=8"), err)
	}
	if _, twice := rules[name]; twice {
		err = errors.Join(err, errors.New("the queue has two rules"))
	}
	if err != nil {
		for _, line := range problemLines(err) {
			s.env.Problem("%s: %s", where, line)
		}
		return
	}
	rules[name] = rule
}

// ruleText returns the rule of a queue in the file as a text: it is one, or a mapping of its
// settings.
func ruleText(v *yaml.Node) (string, error) {
	if v.Kind == yaml.ScalarNode {
		return v.Value, nil
	}
	if v.Kind != yaml.MappingNode {
		return "", errors.New("want a text such as key=args.2|host,max=8, or key:, max: and so on")
	}
	var parts []string
	for i := 0; i+1 < len(v.Content); i += 2 {
		name := strings.ReplaceAll(strings.TrimPrefix(v.Content[i].Value, ":"), "_", "-")
		value := v.Content[i+1]
		if name == "weights" && value.Kind == yaml.MappingNode {
			for k := 0; k+1 < len(value.Content); k += 2 {
				parts = append(parts, "weight."+value.Content[k].Value+"="+value.Content[k+1].Value)
			}
			continue
		}
		if value.Kind != yaml.ScalarNode {
			return "", fmt.Errorf("%s: want one value", name)
		}
		parts = append(parts, name+"="+value.Value)
	}
	return strings.Join(parts, ","), nil
}

// offerLanes writes the rules to all shards that answer: those of the configuration, and those of
// the program for queues that have none. A key of a wrong type costs its own queue the lanes, and
// is logged.
func (a *App) offerLanes(ctx context.Context, s *settings, shards *queue.Shards,
	log *slog.Logger) error {
	for _, shard := range shards.List() {
		if !shard.Store.Connected() {
			continue // a worker that starts later writes them
		}
		if err := a.offerLanesTo(ctx, s, shard.Store, log); err != nil {
			return err
		}
	}
	return nil
}

func (a *App) offerLanesTo(ctx context.Context, s *settings, store *queue.Store,
	log *slog.Logger) error {
	offer := func(rules laneRules, to func(context.Context, string, lanes.Rule) error) error {
		for name, rule := range rules {
			err := to(ctx, name, rule)
			if err != nil && !redisdb.Rejected(err) {
				return err
			}
			if err != nil {
				log.Error("a queue gets no lanes: rename or delete the key kyu:{queue:NAME}:lanes",
					"queue", name, "err", err)
			}
		}
		return nil
	}
	control := lanes.Control{Store: store}
	if err := offer(s.lanes, control.Offer); err != nil {
		return err
	}
	return offer(a.lanes(s), control.OfferDefault)
}

// lanes returns the program's own rules for queues that the worker serves and that the
// configuration says nothing about.
func (a *App) lanes(s *settings) laneRules {
	if a.Lanes == nil {
		return nil
	}
	rules := laneRules{}
	for name, rule := range a.Lanes(s.worker) {
		_, named := s.lanes[name]
		for _, c := range s.worker.Capsules {
			for _, q := range c.Queues {
				if q.Name == name && !named {
					rules[name] = rule
				}
			}
		}
	}
	return rules
}
