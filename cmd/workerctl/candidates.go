package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kyujobs/kyu/capability/cron"
	"github.com/kyujobs/kyu/capability/lanes"
	"github.com/kyujobs/kyu/capability/unique"
	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
	"github.com/kyujobs/kyu/queue/inspect"
	"github.com/spf13/cobra"
)

// A completion asks Redis for this long, and offers at most this many jobs or locks: somebody waits
// after each press of the Tab key.
const (
	candidateTime = 300 * time.Millisecond
	candidateJobs = 25
)

// candidates lists what a word may be, given the words before it. An entry may have a description
// behind a tab.
type candidates func(ctx context.Context, c *call, words []string) ([]string, error)

// fromRedis completes words by what Redis has. It offers nothing if Redis does not answer in time,
// and no word twice.
func (c *call) fromRedis(list candidates) cobra.CompletionFunc {
	return func(cmd *cobra.Command, words []string,
		prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, stop := context.WithTimeout(cmd.Context(), candidateTime)
		defer stop()
		if err := c.open(ctx); err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		defer c.close()
		found, err := c.everywhere(ctx, list, words)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return slices.DeleteFunc(found, func(candidate string) bool {
			word, _, _ := strings.Cut(candidate, "\t")
			return !strings.HasPrefix(word, prefix) || slices.Contains(words, word) || word == "" ||
				printable(word) != word
		}), cobra.ShellCompDirectiveNoFileComp
	}
}

// everywhere lists what the shard that is asked has, or all shards have that answer if there are
// several, each thing once.
func (c *call) everywhere(ctx context.Context, list candidates, words []string) ([]string, error) {
	if !c.several() {
		return list(ctx, c, words)
	}
	all, _, err := inspect.Each(ctx, c.fleet, func(ctx context.Context,
		m *inspect.Member) ([]string, error) {
		other := *c
		other.at(m)
		return list(ctx, &other, words)
	})
	var names []string
	for _, of := range all {
		names = append(names, of.Value...)
	}
	slices.Sort(names)
	return slices.Compact(names), err
}

// firstWord restricts candidates to the first word after a command.
func firstWord(list candidates) candidates {
	return func(ctx context.Context, c *call, words []string) ([]string, error) {
		if len(words) > 0 {
			return nil, nil
		}
		return list(ctx, c, words)
	}
}

// secondIsVerb completes the name of something by list, and the word after it by the verbs below
// the command of the name.
func secondIsVerb(name *cobra.Command, list candidates) candidates {
	return func(ctx context.Context, c *call, words []string) ([]string, error) {
		if len(words) == 0 {
			return list(ctx, c, words)
		}
		var verbs []string
		for _, verb := range name.Commands() {
			if len(words) == 1 {
				verbs = append(verbs, verb.Name()+"\t"+verb.Short)
			}
		}
		return verbs, nil
	}
}

func queueNames(ctx context.Context, c *call, _ []string) (names []string, err error) {
	list, err := c.inspector.Queues(ctx)
	for _, q := range list {
		names = append(names, q.Name)
	}
	return names, err
}

// classNames are the classes that ran within the last hour.
func classNames(ctx context.Context, c *call, _ []string) (names []string, err error) {
	list, err := c.inspector.Metrics(ctx, time.Hour, time.Now())
	for _, class := range list {
		names = append(names, class.Class)
	}
	return names, err
}

func heldNames(ctx context.Context, c *call, _ []string) (names []string, err error) {
	list, err := c.inspector.HeldClasses(ctx)
	for _, class := range list {
		names = append(names, class.Class)
	}
	return names, err
}

// jobsOf are the jobs of the first page of a set.
func jobsOf(open func(*inspect.Inspector) *inspect.JobSet) candidates {
	return func(ctx context.Context, c *call, _ []string) (jids []string, err error) {
		page, err := open(c.inspector).Page(ctx, 0, candidateJobs)
		for _, e := range page {
			jids = append(jids, jobCandidate(e.Job))
		}
		return jids, err
	}
}

// heldJobs are the jobs of the class that the first word names.
func heldJobs(ctx context.Context, c *call, words []string) ([]string, error) {
	if len(words) == 0 {
		return nil, nil
	}
	return jobsOf(func(in *inspect.Inspector) *inspect.JobSet {
		return in.HoldSet(words[0])
	})(ctx, c, words)
}

// queuedJobs are the first jobs of the queue that the first word names.
func queuedJobs(ctx context.Context, c *call, words []string) (jids []string, err error) {
	if len(words) == 0 {
		return nil, nil
	}
	page, err := c.inspector.QueuePage(ctx, words[0], 0, candidateJobs)
	for _, raw := range page {
		j, _ := envelope.ParseJob(raw)
		jids = append(jids, jobCandidate(j))
	}
	return jids, err
}

func runningJIDs(ctx context.Context, c *call, _ []string) (jids []string, err error) {
	list, err := c.inspector.WorkInProgress(ctx)
	for _, w := range list[:min(len(list), candidateJobs)] {
		jids = append(jids, jobCandidate(w.Job))
	}
	return jids, err
}

// jobCandidate is a JID with its class; empty if j is nil.
func jobCandidate(j *queue.Job) string {
	if j == nil {
		return ""
	}
	return j.JID + "\t" + printable(j.DisplayClass())
}

// processWords are the identities, hosts and tags of the live processes. A name that is a host and
// also a tag is offered as either.
func processWords(ctx context.Context, c *call, _ []string) (names []string, err error) {
	list, err := c.processes(ctx)
	for _, p := range list {
		names = append(names, p.Identity+"\t"+printable(strings.Join(p.Queues, ",")))
	}
	hosts, tags := hostsAndTags(list)
	for _, group := range []struct {
		kind, prefix string
		names        []string
	}{{"a host", hostPrefix, hosts}, {"a tag", tagPrefix, tags}} {
		for _, name := range group.names {
			word := name
			if _, err := pickOne(list, name); err != nil {
				word = group.prefix + name
			}
			names = append(names, word+"\t"+group.kind)
		}
	}
	return names, err
}

func entryNames(ctx context.Context, c *call, _ []string) (names []string, err error) {
	list, err := cron.Control{Store: c.store}.List(ctx)
	for _, e := range list {
		names = append(names, e.Name)
	}
	return names, err
}

func digests(ctx context.Context, c *call, _ []string) (names []string, err error) {
	list, _, err := unique.NewLocks(c.store).Page(ctx, "", 0, candidateJobs)
	for _, lock := range list {
		names = append(names, lock.Digest)
	}
	return names, err
}

func lanedQueues(ctx context.Context, c *call, _ []string) ([]string, error) {
	return lanes.Control{Store: c.store}.Queues(ctx)
}

// laneWords are the queues with lanes, and behind one its lanes, if a command has so many words.
func laneWords(most int) candidates {
	return func(ctx context.Context, c *call, words []string) (names []string, err error) {
		switch {
		case len(words) == 0:
			return lanedQueues(ctx, c, words)
		case len(words) >= most:
			return nil, nil
		}
		list, err := lanes.Control{Store: c.store}.Largest(ctx, words[0], candidateJobs)
		for _, lane := range list {
			names = append(names, lane.Name)
		}
		return names, err
	}
}
