// Package live measures the stream of the dashboard: what many clients cost a process that has one
// core, and how late they get an update.
package live

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/kyujobs/kyu/loadtest/lab"
	"github.com/spf13/pflag"
)

// Options are the flags of the experiment.
type Options struct {
	clients []int
	slow    int // clients that read nothing, beside the others
	bytes   int // of a state
	length  time.Duration
	serve   bool // be the server, for another process of this program
}

// Flags defines the flags of the experiment.
func (o *Options) Flags(f *pflag.FlagSet) {
	f.IntSliceVar(&o.clients, "clients", []int{100, 1000, 10_000}, "how many clients listen; one "+
		"run for each number")
	f.IntVar(&o.slow, "slow", 100, "how many more clients listen and read nothing")
	f.IntVar(&o.bytes, "bytes", 4000, "size of a state; each state differs from the one before")
	f.DurationVar(&o.length, "length", 30*time.Second, "time that is measured in each run")
	f.BoolVar(&o.serve, "serve", false, "be the server, which the experiment starts by itself")
}

func (o *Options) check() error {
	for _, n := range o.clients {
		if n < 1 || n > 25_000 {
			return fmt.Errorf("--clients %d: want 1 to 25000, because a client needs a port", n)
		}
	}
	if len(o.clients) == 0 || o.slow < 0 || o.bytes < 100 || o.length < 2*time.Second {
		return errors.New("want --clients, --slow of 0 or more, --bytes of 100 or more, and " +
			"--length of 2s or more")
	}
	return nil
}

// Run measures each number of clients with a new server, and prints a table to out.
func Run(ctx context.Context, o Options, out io.Writer) error {
	if err := o.check(); err != nil {
		return err
	}
	if o.serve {
		return serve(ctx, o, out)
	}
	fmt.Fprintf(out, "a state of %d bytes each second, %d more clients that read nothing, "+
		"measured for %v; the server has one core (GOMAXPROCS=1) of %d of %s\n", o.bytes, o.slow,
		o.length, lab.Cores(), lab.Processor())
	table := lab.Table(out, "clients\tsamples/s\tupdate p50 ms\tp99\tmax\tnot sent %\t"+
		"RSS MB\tKiB/client\tCPU % of a core\tbye to\tback within s\t")
	for _, n := range o.clients {
		fmt.Fprintf(os.Stderr, "%d clients\n", n)
		r, err := o.measure(ctx, n)
		if err != nil {
			return fmt.Errorf("%d clients: %w", n, err)
		}
		fmt.Fprintf(table, "%d\t%.2f\t%.0f\t%.0f\t%.0f\t%.2f\t%.0f\t%.1f\t%.0f\t%d\t%.1f\t\n",
			n, float64(r.states)/o.length.Seconds(), r.quantile(0.5), r.quantile(0.99),
			r.quantile(1), r.missing(n), r.residentMB, r.perClient(n+o.slow), r.cpu*100, r.byes,
			r.back.Seconds())
	}
	return table.Flush()
}

// measure runs a server, lets the clients come, and reads with them.
func (o *Options) measure(ctx context.Context, n int) (*result, error) {
	if err := raiseFiles(n + o.slow + 100); err != nil {
		return nil, err
	}
	server, address, err := o.start(n + o.slow)
	if err != nil {
		return nil, err
	}
	defer lab.Stop(server)
	pid := server.Process.Pid
	empty := lab.ResidentMB(pid)
	c := &crowd{address: address}
	defer c.close()
	if err := c.open(ctx, n, o.slow); err != nil {
		return nil, err
	}
	began := lab.CPUSeconds(pid)
	peak, err := c.measure(ctx, o.length, func() float64 { return lab.ResidentMB(pid) })
	if err != nil {
		return nil, err
	}
	cpu := (lab.CPUSeconds(pid) - began) / o.length.Seconds()
	server.Process.Signal(os.Interrupt)
	r := c.result()
	r.cpu, r.emptyMB, r.residentMB = cpu, empty, peak
	return r, nil
}

// start starts this program as the server, and returns its address.
func (o *Options) start(clients int) (*exec.Cmd, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(self, "live", "--serve", "--clients", fmt.Sprint(clients), "--bytes",
		fmt.Sprint(o.bytes))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	text, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	var address string
	if _, err := fmt.Fscanln(bufio.NewReader(text), &address); err != nil {
		lab.Kill(cmd)
		return nil, "", fmt.Errorf("the server does not start: %w", err)
	}
	return cmd, address, nil
}
