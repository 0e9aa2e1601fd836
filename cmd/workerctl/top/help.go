package top

// helpView shows the keys.
type helpView struct{}

// keyTable are the keys with what they do.
var keyTable = [][2]string{
	{"1 … 8", "the views, in the order of the second line; tab, shift-tab: the next, the last"},
	{":", "a view by its name: queues, retries, queue NAME, held CLASS, job JID, quit"},
	{"enter l →", "open what the cursor is at"},
	{"esc h ←", "back; before that, take away marks and the filter"},
	{"j k ↓ ↑", "down, up; g G: to the first, to the last"},
	{"ctrl-d ctrl-u", "half a page down, up"},
	{"PgDn PgUp n p", "a page down, up (in the queues p pauses)"},
	{"/", "a filter, as of --filter: class:Feed::* host:example.com age>2h -tag:slow text;"},
	{"", "queues, processes and classes are filtered by text; an empty filter ends it"},
	{"space", "mark a row, or take the mark away: the small letters are about the marks"},
	{"r x d", "retry (release what is held), kill, delete: the jobs that are marked, or this one"},
	{"R X D", "the same for all jobs of the filter, or of the set"},
	{"p", "in the queues: pause, or unpause"},
	{"Q S", "in the processes: quiet, stop"},
	{"s w", "another order; wide: all columns"},
	{"? q", "this page; quit. Ctrl-C quits too, Ctrl-Z suspends"},
	{"", ""},
	{"", "Each act asks before it is done: y does it, any other key does not. It is in the"},
	{"", "audit (`workerctl audit`). Redis gets at most 20 commands a second on average; what"},
	{"", "many processes say is read in turn, and a filter reads its set less often."},
}

func (helpView) name() string { return "help" }

func (helpView) orders() []string { return nil }

func (helpView) need(*page, int, int) need { return need{} }

func (helpView) show(_ *known, _ *page, s screen) content {
	c := content{title: "keys", keys: []string{"esc back", "j/k scroll"}}
	for _, key := range keyTable {
		for i, part := range fold(key[1], s.width-16) {
			if i > 0 {
				key[0] = ""
			}
			c.lines = append(c.lines, line{{pad(key[0], 16, false), bold}, {part, plain}})
		}
	}
	c.total = len(c.lines)
	return c
}

func (helpView) open(*known, row) view { return nil }

func (helpView) act(*known, *page, string, []row) (r Request, ok bool) { return r, false }
