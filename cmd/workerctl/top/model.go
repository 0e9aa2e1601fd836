package top

import (
	"context"
	"time"

	tea "charm.land/bubbletea/v2"
)

// model is the state of the program. Update changes it, View draws it, and commands tell it by
// messages what Redis has answered.
type model struct {
	ctx     context.Context // of what runs in the background
	options Options
	now     time.Time
	width   int
	height  int

	pages []*page // the last is shown; esc goes to the one before
	wide  bool

	prompt    *prompt  // nil if nobody types
	question  *Request // what a person is asked to confirm; nil: nothing
	counting  bool     // the jobs of question are counted before it is asked
	stopCount context.CancelFunc
	acting    *Request // what is under way; nil: nothing
	leaving   bool     // q was pressed while something was under way
	message   string   // the result of the last act, or why there is none
	wrong     bool     // message is an error

	sampler  *sampler // nil until Redis has answered for the first time
	acts     Acts
	close    func() error // nil until Redis has answered
	known    known
	looking  bool      // a look is under way
	asked    time.Time // when the last look, or connect, began
	again    bool      // look at once when it has ended
	anew     bool      // the next look reads all that the page shows
	stopLook context.CancelFunc
	answered time.Time // when Redis answered last
	failed   error     // why the last look, or connect, failed
}

// Messages of commands.
type (
	tickMsg      time.Time
	connectedMsg struct {
		Connection
		err error
	}
	lookedMsg struct {
		known known
		some  bool // Redis has answered something
		err   error
	}
	countedMsg struct {
		request *Request
		count   int
		err     error
	}
	actedMsg struct {
		done string
		err  error
	}
)

func newModel(ctx context.Context, o Options, now time.Time) *model {
	return &model{ctx: ctx, options: o, now: now, asked: now, answered: now, looking: true,
		pages: []*page{newPage(overview{})}, width: 80, height: 24, stopLook: func() {}}
}

// Init connects, while the first frame is drawn.
func (m *model) Init() tea.Cmd { return tea.Batch(m.connect(), m.tick()) }

// connect opens the Redis in the background.
func (m *model) connect() tea.Cmd {
	ctx, connect := m.ctx, m.options.Connect
	return func() tea.Msg {
		connection, err := connect(ctx)
		if ctx.Err() != nil && err == nil {
			connection.Close() // the program has ended
		}
		return connectedMsg{connection, err}
	}
}

// tick sends the time a while later.
func (m *model) tick() tea.Cmd {
	ctx, wait, every := m.ctx, m.options.wait, min(m.options.Every, time.Second)
	return func() tea.Msg { return wait(ctx, every) }
}

// wait is the time after a while, or nil if ctx is done before.
func wait(ctx context.Context, d time.Duration) tea.Msg {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case now := <-timer.C:
		return tickMsg(now)
	case <-ctx.Done():
		return nil
	}
}

// Update takes a message.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.page().follow(m.rows())
		return m, m.refresh()
	case tickMsg:
		m.now = time.Time(msg)
		return m, tea.Batch(m.tick(), m.onTick())
	case connectedMsg:
		return m, m.onConnected(msg)
	case lookedMsg:
		return m, m.onLooked(msg)
	case countedMsg:
		m.onCounted(msg)
	case actedMsg:
		return m, m.onActed(msg)
	case tea.PasteMsg:
		if m.prompt != nil {
			m.prompt.text += oneLine(msg.Content)
		}
	case tea.KeyPressMsg:
		return m, m.onKey(msg)
	}
	return m, nil
}

// page is the one that is shown.
func (m *model) page() *page { return m.pages[len(m.pages)-1] }

// onTick looks again if it is time to. A connect that failed is tried again.
func (m *model) onTick() tea.Cmd {
	if m.looking || m.now.Sub(m.asked) < m.options.Every {
		return nil
	}
	if m.sampler == nil {
		m.looking, m.asked = true, m.now
		return m.connect()
	}
	return m.look()
}

// refresh looks at once if the page needs what is not known.
func (m *model) refresh() tea.Cmd {
	if m.looking {
		m.stopLook() // of another page
		m.again = true
		return nil
	}
	return m.look()
}

// look reads what the page needs. There is one look at a time.
func (m *model) look() tea.Cmd {
	if m.sampler == nil {
		return nil
	}
	p := m.page()
	n := p.view.need(p, p.top, m.rows())
	if len(n.parts) == 0 {
		return nil
	}
	ctx, stop := context.WithCancel(m.ctx)
	n.anew, m.anew = m.anew, false
	m.looking, m.asked, m.stopLook, m.again = true, m.now, stop, false
	sampler := m.sampler
	at := m.now
	return func() tea.Msg {
		defer stop()
		known, some, err := sampler.look(ctx, n, at)
		if ctx.Err() != nil {
			err = nil // the person has gone to another page
		}
		return lookedMsg{known, some, err}
	}
}

func (m *model) onConnected(msg connectedMsg) tea.Cmd {
	m.looking, m.failed = false, msg.err
	if msg.err != nil {
		return nil // the next tick tries again
	}
	m.sampler, m.acts = newSampler(msg.Source, m.now), msg.Acts
	m.close = msg.Close
	m.answered = m.now
	return m.look()
}

func (m *model) onLooked(msg lookedMsg) tea.Cmd {
	m.looking, m.failed = false, msg.err
	m.known = msg.known
	if msg.some && msg.err == nil {
		m.answered = m.now
	}
	m.settle()
	if m.again {
		return m.look()
	}
	return nil
}

// settle moves the cursor if the list has become shorter.
func (m *model) settle() {
	p := m.page()
	c := p.view.show(&m.known, p, m.screen())
	p.total = c.total
	if len(c.lines) == 0 {
		p.move(0, m.rows())
	} else {
		p.scroll(0, m.rows())
	}
}
