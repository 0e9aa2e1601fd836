package lab

import (
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Spawn starts a program that prints nothing. It gets the Redis of the lab, and no Postgres
// unless env names one. A pinned program runs on core 0 alone.
func (l *Lab) Spawn(pinned bool, env []string, name string, args ...string) (*exec.Cmd, error) {
	if pinned {
		args = append([]string{"-c", "0", name}, args...)
		name = "taskset"
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "REDIS_URL="+l.URL, "DATABASE_URL=", "DB_HOST=")
	cmd.Env = append(cmd.Env, env...)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	cmd.Stdout, cmd.Stderr = null, null
	return cmd, cmd.Start()
}

// Stop interrupts a program, and kills it if it still runs ten seconds later.
func Stop(cmd *exec.Cmd) {
	cmd.Process.Signal(os.Interrupt)
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }() // ends with the program
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		cmd.Process.Kill()
		<-ended
	}
}

// Kill ends a program and its children with SIGKILL.
func Kill(cmd *exec.Cmd) {
	for _, pid := range append(Family(cmd.Process.Pid)[1:], cmd.Process.Pid) {
		if p, err := os.FindProcess(pid); err == nil {
			p.Kill() // a child that has ended already is no error
		}
	}
	cmd.Wait()
}

// Pin binds a process with all its threads to core 0, or lets it use all cores again.
func Pin(pid int, pinned bool) error {
	cores := "0-" + strconv.Itoa(Cores()-1)
	if pinned {
		cores = "0"
	}
	return exec.Command("taskset", "-acp", cores, strconv.Itoa(pid)).Run()
}
