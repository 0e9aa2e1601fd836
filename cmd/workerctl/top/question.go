package top

import (
	"context"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// say shows a message until the next key.
func (m *model) say(text string, wrong bool) { m.message, m.wrong = text, wrong }

// request asks a person to confirm an act. The jobs of a filter are counted before.
func (m *model) request(r Request) tea.Cmd {
	switch {
	case m.options.ReadOnly:
		m.say("nothing is changed with --read-only", true)
		return nil
	case m.acts == nil:
		m.say("Redis has not answered yet", true)
		return nil
	case m.acting != nil:
		m.say(string(m.acting.Verb)+" is still under way", true)
		return nil
	}
	m.question = &r
	if len(r.Jobs) > 0 || len(r.Names) > 0 {
		return nil
	}
	r.AsOf, m.counting = m.now, true
	ctx, stop := context.WithCancel(m.ctx)
	m.stopCount = stop
	source, question := m.sampler.source, m.question
	return func() tea.Msg {
		defer stop()
		n, err := source.Count(ctx, question.Set, question.Filter, question.AsOf)
		return countedMsg{question, n, err}
	}
}

func (m *model) onCounted(msg countedMsg) {
	if m.question != msg.request {
		return // the person has said no
	}
	m.counting = false
	switch {
	case msg.err != nil:
		m.question = nil
		m.say(msg.err.Error(), true)
	case msg.count == 0:
		m.question = nil
		m.say("there are no such jobs", true)
	default:
		m.question.Count = msg.count
	}
}

// answer takes the key that answers the question. Only y means yes.
func (m *model) answer(key string) tea.Cmd {
	r := m.question
	if m.counting {
		if key == "y" || key == "Y" {
			return nil // it is not asked yet
		}
		m.stopCount()
	}
	m.question, m.counting = nil, false
	if key != "y" && key != "Y" {
		m.say("nothing was done", false)
		return nil
	}
	m.acting = r
	clear(m.page().marks)
	ctx, acts, done := m.ctx, m.acts, m.options.running
	done.Add(1)
	return func() tea.Msg {
		defer done.Done()
		text, err := acts.Apply(ctx, *r)
		return actedMsg{text, err}
	}
}

func (m *model) onActed(msg actedMsg) tea.Cmd {
	r := m.acting
	m.acting = nil
	if m.leaving {
		return tea.Quit
	}
	if msg.err != nil {
		m.say(string(r.Verb)+": "+oneLine(msg.err.Error()), true)
	} else {
		m.say("done: "+msg.done, false)
	}
	m.anew = true
	return m.refresh()
}

// quit ends the program. What is under way would be left half done: it is stopped by a second q.
func (m *model) quit() tea.Cmd {
	if m.acting == nil || m.leaving {
		return tea.Quit
	}
	m.leaving = true
	m.say(string(m.acting.Verb)+" is under way: the program ends after it; q again stops it", true)
	return nil
}

// questionLine is what a person is asked.
func (m *model) questionLine() line {
	if m.counting {
		return say(warning, "counting the jobs… (any key: no)")
	}
	return spread(say(warning, m.question.String()+"?"), line{{"y/N ", warning}, {" ", inverse}},
		min(m.width, columns(m.question.String())+7))
}

// oneLine is a text without line breaks.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }
