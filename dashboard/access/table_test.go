package access

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestTable(t *testing.T) {
	count := func(path, text string) (int, error) {
		entries, err := parseEntries(path, text, func(string) error { return nil })
		return len(entries), err
	}
	t.Run("reads a changed file after a second", func(t *testing.T) {
		path := write(t, "users", "a:viewer:x\n")
		synctest.Test(t, func(t *testing.T) {
			table := &table[int]{path: path, parse: count, log: slog.New(slog.DiscardHandler)}
			for _, step := range []struct {
				wait time.Duration
				text string
				want int
			}{{0, "a:viewer:x\nb:admin:y\n", 1}, {recheck - 1, "", 1}, {1, "", 2}} {
				time.Sleep(step.wait)
				if got, err := table.get(); got != step.want || err != nil {
					t.Errorf("after %v: %d, %v, want %d", step.wait, got, err, step.want)
				}
				if step.text != "" {
					rewrite(t, path, step.text)
				}
			}
		})
	})
	t.Run("is empty while the file is wrong, and the log says so once", func(t *testing.T) {
		path := write(t, "users", "a:viewer:x\n")
		synctest.Test(t, func(t *testing.T) {
			var log bytes.Buffer
			table := &table[int]{path: path, parse: count,
				log: slog.New(slog.NewTextHandler(&log, nil))}
			table.get()
			rewrite(t, path, "a:viewer:x\nb:boss:y\n")
			for range 3 {
				time.Sleep(recheck)
				if got, err := table.get(); got != 0 || err == nil {
					t.Errorf("it has %d entries, %v", got, err)
				}
			}
			if n := strings.Count(log.String(), "level=ERROR"); n != 1 {
				t.Errorf("the log has %d errors:\n%s", n, log.String())
			}
			rewrite(t, path, "a:viewer:x\n")
			time.Sleep(recheck)
			if got, err := table.get(); got != 1 || err != nil {
				t.Errorf("corrected, it has %d entries, %v", got, err)
			}
		})
	})
	t.Run("is empty while the file is away", func(t *testing.T) {
		path := write(t, "users", "a:viewer:x\n")
		synctest.Test(t, func(t *testing.T) {
			table := &table[int]{path: path, parse: count, log: slog.New(slog.DiscardHandler)}
			table.get()
			os.Rename(path, path+".old")
			time.Sleep(recheck)
			if got, err := table.get(); got != 0 || err == nil {
				t.Errorf("away, it has %d entries, %v", got, err)
			}
			os.Rename(path+".old", path)
			time.Sleep(recheck)
			if got, err := table.get(); got != 1 || err != nil {
				t.Errorf("back with the same text, it has %d entries, %v", got, err)
			}
		})
	})
}

func TestReadPrivate(t *testing.T) {
	for mode, fits := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o440: true,
		0o644: false, 0o604: false, 0o602: false, 0o601: false, 0o660: false, 0o777: false} {
		t.Run(mode.String(), func(t *testing.T) {
			path := write(t, "users", "text")
			if err := os.Chmod(path, mode); err != nil {
				t.Fatal(err)
			}
			text, err := readPrivate(path)
			if fits && (err != nil || text != "text") {
				t.Errorf("it reads %q, %v", text, err)
			}
			if !fits && (err == nil || !strings.Contains(err.Error(), "chmod 640 "+path)) {
				t.Errorf("the error is %v", err)
			}
		})
	}
	t.Run("refuses what is no file, or too large", func(t *testing.T) {
		large := write(t, "large", strings.Repeat("#", maxFile+1))
		for _, path := range []string{t.TempDir(), large, large + ".none"} {
			if _, err := readPrivate(path); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("%s: %v", path, err)
			}
		}
	})
}

func TestParseEntries(t *testing.T) {
	fine := func(string) error { return nil }
	t.Run("reads lines, and leaves out comments and empty ones", func(t *testing.T) {
		entries, err := parseEntries("F", "# users\n\nalice:viewer:1\r\n  \n"+
			"光.x@y-z+1:admin:2", fine)
		if err != nil || len(entries) != 2 || entries[0] != (entry{Person{"alice", Viewer}, "1"}) ||
			entries[1] != (entry{Person{"光.x@y-z+1", Admin}, "2"}) {
			t.Errorf("it reads %v, %v", entries, err)
		}
	})
	t.Run("names all wrong lines, without their secrets", func(t *testing.T) {
		_, err := parseEntries("F", strings.Join([]string{"a:admin:1", "b:SECRET:admin", "c:admin",
			" d:admin:SECRET", "a:viewer:SECRET", "e:admin:SECRET:", "SECRET"}, "\n"), fine)
		want := `F, line 2: the role is not viewer, operator or admin
F, line 3: it is not NAME:ROLE:HASH
F, line 4: the name is not 1 to 64 letters, digits and ._@+-
F, line 5: the name "a" is in line 1 too
F, line 6: it is not NAME:ROLE:HASH
F, line 7: it is not NAME:ROLE:HASH`
		if err == nil || err.Error() != want {
			t.Errorf("the error is\n%v\nwant\n%s", err, want)
		}
	})
	t.Run("refuses a file that names nobody", func(t *testing.T) {
		if _, err := parseEntries("F", "# nobody\n", fine); err == nil {
			t.Error("there is no error")
		}
	})
	t.Run("refuses names that could be mistaken for something else", func(t *testing.T) {
		for _, name := range []string{"", "-x", "a b", "a\tb", "a/b", "a\u202eb", "a\x00b", "<b>",
			strings.Repeat("a", 65), "a\xff"} {
			if checkName(name) == nil {
				t.Errorf("%q is a name", name)
			}
		}
	})
}
