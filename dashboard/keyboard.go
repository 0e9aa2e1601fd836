package dashboard

// pageKeys are the letters that lead to pages, after a g.
var pageKeys = map[string]string{"overview": "o", "queues": "q", "busy": "b", "processes": "p",
	"retries": "r", "scheduled": "s", "dead": "d", "held": "h", "operations": "u", "audit": "a",
	"metrics": "m", "lanes": "w", "locks": "l", "cron": "c", "classes": "k", "errors": "e",
	"hosts": "t", "redis": "i", "postgres": "y", "settings": "n",
	"outbox": "x"}

// shortcut is a row of the help about the keyboard.
type shortcut struct {
	Keys []string
	Text string // its key in the catalogue
}

// shortcuts are the keys beside those of the pages. All of them are letters or signs, so they do
// not count in a field, and a person can turn them off.
var shortcuts = []shortcut{
	{[]string{"/"}, "keys.filter"},
	{[]string{"j", "k"}, "keys.rows"},
	{[]string{"x"}, "keys.select"},
	{[]string{"?"}, "keys.help"},
}
