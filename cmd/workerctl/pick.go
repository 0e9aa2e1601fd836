package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/inspect"
)

// The prefixes of words that can be read in one way only.
const (
	hostPrefix = "host:"
	tagPrefix  = "tag:"
)

// pick returns the processes that words select, each once: by identity, else all of a host, else
// all with a tag. The error names each word that selects none, or that is a host and also a tag of
// other processes.
func pick(list []inspect.FleetProcess, words []string) (chosen []inspect.FleetProcess, err error) {
	var problems []error
	for _, word := range words {
		found, err := pickOne(list, word)
		if err != nil {
			problems = append(problems, err)
		}
		for _, p := range found {
			if !slices.ContainsFunc(chosen, isProcess(p.Identity)) {
				chosen = append(chosen, p)
			}
		}
	}
	return chosen, errors.Join(problems...)
}

// isProcess returns a function that finds a process.
func isProcess(identity string) func(inspect.FleetProcess) bool {
	return func(p inspect.FleetProcess) bool { return p.Identity == identity || p.Has(identity) }
}

func pickOne(list []inspect.FleetProcess, word string) ([]inspect.FleetProcess, error) {
	if i := slices.IndexFunc(list, isProcess(word)); i >= 0 {
		return list[i : i+1], nil
	}
	host, onlyHost := strings.CutPrefix(word, hostPrefix)
	tag, onlyTag := strings.CutPrefix(word, tagPrefix)
	var onHost, tagged []inspect.FleetProcess
	for _, p := range list {
		if p.Hostname == host && host != "" && !onlyTag {
			onHost = append(onHost, p)
		}
		if p.Tag == tag && tag != "" && !onlyHost {
			tagged = append(tagged, p)
		}
	}
	switch {
	case len(onHost)+len(tagged) == 0:
		return nil, unknownProcess(list, word)
	case len(onHost) == 0:
		return tagged, nil
	case len(tagged) == 0 || identitiesOf(onHost) == identitiesOf(tagged):
		return onHost, nil
	}
	return nil, fmt.Errorf("%s is a host (%s) and a tag (%s): write %s%s or %s%s", word,
		identitiesOf(onHost), identitiesOf(tagged), hostPrefix, word, tagPrefix, word)
}

// identitiesOf joins the identities of processes.
func identitiesOf(list []inspect.FleetProcess) string {
	var names []string
	for _, p := range list {
		names = append(names, p.Identity)
	}
	return strings.Join(names, ", ")
}

// hostsAndTags returns the hosts and the tags of processes, each once.
func hostsAndTags(list []inspect.FleetProcess) (hosts, tags []string) {
	for _, p := range list {
		hosts, tags = append(hosts, p.Hostname), append(tags, p.Tag)
	}
	names := func(list []string) []string {
		slices.Sort(list)
		return slices.DeleteFunc(slices.Compact(list), func(s string) bool { return s == "" })
	}
	return names(hosts), names(tags)
}

// unknownProcess is the error of a word that selects no process.
func unknownProcess(list []inspect.FleetProcess, word string) error {
	if len(list) == 0 {
		return fmt.Errorf("process %s: %w: no process is alive", word, queue.ErrNotFound)
	}
	hosts, tags := hostsAndTags(list)
	names := slices.Concat(hosts, tags)
	for _, p := range list {
		names = append(names, p.Identity)
	}
	slices.Sort(names)
	advice := orMeant(word, slices.Compact(names))
	if advice == "" {
		advice = "there are the hosts " + strings.Join(hosts, ", ")
		if len(tags) > 0 {
			advice += " and the tags " + strings.Join(tags, ", ")
		}
	}
	return fmt.Errorf("process %s: %w: %s; `workerctl processes` lists them", word,
		queue.ErrNotFound, advice)
}
