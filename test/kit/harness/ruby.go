package harness

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// driver.rb runs Ruby code that it gets, with Sidekiq's client, API and web page; jobs.rb
// holds the classes of the Test:: jobs.
var (
	//go:embed driver.rb
	driver string
	//go:embed jobs.rb
	jobs string
)

// Ruby is a driver process.
type Ruby struct {
	site *Site
	in   io.WriteCloser
	out  *bufio.Scanner
}

// Ruby starts a driver. It ends with the test.
func (s *Site) Ruby() *Ruby {
	s.Helper()
	s.write("jobs.rb", jobs)
	line := ruby(s.write("driver.rb", driver))
	cmd := exec.Command(line[0], line[1:]...)
	// Sidekiq needs more rights than a worker.
	cmd.Env = append(os.Environ(), "REDIS_URL="+s.Server.Admin, "TEST_RECORD="+s.RecordPath())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	s.Must(err)
	out, err := cmd.StdoutPipe()
	s.Must(err)
	if err := cmd.Start(); err != nil {
		s.Fatalf("ruby does not start: %v: is it installed? (make deps)", err)
	}
	s.Cleanup(func() {
		in.Close()
		cmd.Wait()
	})
	r := &Ruby{s, in, bufio.NewScanner(out)}
	r.out.Buffer(nil, 16<<20)
	return r
}

// With returns the same driver for a subtest.
func (r *Ruby) With(s *Site) *Ruby { return &Ruby{s, r.in, r.out} }

func (s *Site) write(name, text string) string {
	s.Helper()
	path := filepath.Join(s.Dir, name)
	s.Must(os.WriteFile(path, []byte(text), 0o644))
	return path
}

// Do runs Ruby code in the driver, and decodes its value into out if that is not nil. In the
// code, q is the list of params.
func (r *Ruby) Do(out any, code string, params ...any) {
	r.site.Helper()
	if text := r.try(out, code, params...); text != "" {
		r.site.Fatalf("ruby: %s\n%s", code, text)
	}
}

// Fails runs Ruby code that must raise an error, and returns the error.
func (r *Ruby) Fails(code string, params ...any) string {
	r.site.Helper()
	text := r.try(nil, code, params...)
	if text == "" {
		r.site.Errorf("ruby: %s: did not raise", code)
	}
	return text
}

func (r *Ruby) try(out any, code string, params ...any) string {
	r.site.Helper()
	b, err := json.Marshal(map[string]any{"code": code, "q": params})
	r.site.Must(err)
	_, err = r.in.Write(append(b, '\n'))
	r.site.Must(err)
	if !r.out.Scan() {
		r.site.Fatal("ruby has ended: ", r.out.Err())
	}
	var answer struct {
		OK        json.RawMessage `json:"ok"`
		Error     string          `json:"error"`
		Backtrace []string        `json:"backtrace"`
	}
	r.site.Must(json.Unmarshal(r.out.Bytes(), &answer))
	if answer.Error != "" {
		return answer.Error + "\n" + strings.Join(answer.Backtrace, "\n")
	}
	if out != nil {
		if err := json.Unmarshal(answer.OK, out); err != nil {
			r.site.Fatalf("ruby: %s answered %.300s: %v", code, answer.OK, err)
		}
	}
	return ""
}

// Page is an answer of Sidekiq's web page.
type Page struct {
	Status int
	Body   string
}

// Get requests a page of Sidekiq's web page.
func (r *Ruby) Get(path string) (p Page) {
	r.site.Helper()
	r.Do(&p, `get(q[0])`, path)
	return p
}

// Shows reads a page, which must answer 200 and contain the parts.
func (r *Ruby) Shows(path string, parts ...string) {
	r.site.Helper()
	p := r.Get(path)
	r.site.Equal("status of "+path, p.Status, 200)
	r.site.Contains(path, p.Body, parts...)
}

// Post sends a form of the web page, as a button does. The answer must be a redirect.
func (r *Ruby) Post(path string, params map[string]any) {
	r.site.Helper()
	if params == nil {
		params = map[string]any{}
	}
	var p Page
	if r.Do(&p, `post(q[0], q[1])`, path, params); p.Status != 302 {
		r.site.Errorf("POST %s %v: %d", path, params, p.Status)
	}
}

// Sidekiq starts Ruby's worker on the site's Redis, with the Test:: jobs, and waits until
// the jobs are loaded. It polls the sets about once a second.
func (s *Site) Sidekiq(args ...string) *Process {
	s.Helper()
	s.write("jobs.rb", jobs)
	line := append(ruby(sidekiq()+"/bin/sidekiq", "-r", filepath.Join(s.Dir, "jobs.rb")), args...)
	p := s.StartWith([]string{"REDIS_URL=" + s.Server.Admin}, line[0], line[1:]...)
	s.Until(30*time.Second, "Sidekiq has started",
		func() bool { return p.Says("the jobs are loaded") })
	return p
}
