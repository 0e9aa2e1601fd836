// Package top is `workerctl top`: the queues, jobs and processes live in a terminal.
package top

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
)

// Options say how top runs.
type Options struct {
	// Connect opens the Redis. It is called in the background, and again when it has failed.
	Connect  func(context.Context) (Connection, error)
	Every    time.Duration // between two looks
	ReadOnly bool          // refuse acts
	Colour   bool          // draw with colours
	In       io.Reader     // the keys
	Out      io.Writer     // the terminal

	running *sync.WaitGroup                              // the acts that are under way
	wait    func(context.Context, time.Duration) tea.Msg // wait, but in tests
}

// Connection is an open Redis.
type Connection struct {
	Source Source
	Acts   Acts
	Close  func() error // Run calls it at its end; calls that still wait for Redis then fail
}

// actEnds is how long an act that is under way may take to stop when the program ends.
const actEnds = 5 * time.Second

// Run shows the fleet until the person quits or ctx is done, and leaves the terminal as it was. It
// returns when the acts that were under way have ended.
func Run(ctx context.Context, o Options) error {
	o.running, o.wait = &sync.WaitGroup{}, wait
	inside, cancel := context.WithCancel(ctx)
	defer cancel()
	m := newModel(inside, o, time.Now())
	program := tea.NewProgram(m, tea.WithInput(o.In), tea.WithOutput(o.Out),
		tea.WithoutSignalHandler(), tea.WithColorProfile(o.profile()))
	stop := context.AfterFunc(ctx, program.Quit)
	defer stop()
	_, err := program.Run()
	cancel()
	ended := make(chan struct{})
	go func() {
		o.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(actEnds):
	}
	if m.close != nil {
		err = errors.Join(err, m.close())
	}
	return err
}

// profile is what colours the terminal has: those of the styles. Bubble Tea would run `tmux info`
// to find more, while nothing is drawn.
func (o Options) profile() colorprofile.Profile {
	if o.Colour {
		return colorprofile.ANSI
	}
	return colorprofile.ASCII
}
