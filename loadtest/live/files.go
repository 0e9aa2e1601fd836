package live

import (
	"fmt"
	"syscall"
)

// raiseFiles lets this process have so many open files. Only root may have more than the hard
// limit.
func raiseFiles(want int) error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("reading the limit of open files: %w", err)
	}
	n := uint64(want)
	if limit.Cur >= n {
		return nil
	}
	raised := syscall.Rlimit{Cur: n, Max: max(limit.Max, n)}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised); err != nil {
		return fmt.Errorf("%d open files are needed, and %d are allowed: run `ulimit -n %d` as "+
			"root first, set LimitNOFILE=%d in the unit, or take fewer --clients: %w", want,
			limit.Max, want, want, err)
	}
	return nil
}
