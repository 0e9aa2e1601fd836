package main

import (
	"context"
	"fmt"
	"os"
	"time"
)

// Job is the arguments of all jobs.
type Job struct {
	Kind   string `json:"kind"` // wait, sleep, stamp or ledger
	N      int    `json:"n"`
	Text   string `json:"text,omitempty"`
	Path   string `json:"path,omitempty"`
	Pushed int64  `json:"pushed,omitempty"` // microseconds since 1970
	MS     int64  `json:"ms,omitempty"`
}

// Run does the job.
func (j Job) Run(ctx context.Context) error {
	switch j.Kind {
	case "stamp":
		return appendLine(j.Path, fmt.Sprint(time.Now().UnixMicro()-j.Pushed))
	case "ledger":
		if err := appendLine(j.Path, fmt.Sprint("start ", j.N)); err != nil {
			return err
		}
		if err := sleep(ctx, j.MS); err != nil {
			return err
		}
		return appendLine(j.Path, fmt.Sprint("end ", j.N))
	case "sleep":
		return sleep(ctx, j.MS)
	}
	if j.MS == 0 {
		return nil
	}
	return wait(time.Duration(j.MS) * time.Millisecond)
}

func sleep(ctx context.Context, ms int64) error {
	select {
	case <-time.After(time.Duration(ms) * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func appendLine(path, line string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if _, err := f.WriteString(line + "\n"); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}
