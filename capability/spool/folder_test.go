package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/kyujobs/kyu/capability/spool"
	"github.com/kyujobs/kyu/queue"
)

func TestFolder(t *testing.T) {
	b := newBench(t, spool.Options{})
	b.server.Kill()
	b.push("a", "a1")
	t.Run("is refused to a second spool", func(t *testing.T) {
		_, err := spool.Open(b.dir, b.store, spool.Options{})
		if !errors.Is(err, spool.ErrInUse) || !strings.Contains(err.Error(), b.dir) {
			t.Error(err)
		}
	})
	t.Run("is refused to another process", func(t *testing.T) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), pusherDir+"="+b.dir, pusherURL+"="+b.server.URL)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), spool.ErrInUse.Error()) {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("is for its owner only", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "new")
		s, err := spool.Open(dir, nil, spool.Options{})
		if err != nil {
			t.Fatal(err)
		}
		s.Close()
		info, _ := os.Stat(dir)
		b.same("mode of the folder", info.Mode().Perm(), "-rwx------")
		info, _ = os.Stat(filepath.Join(b.dir, "00000001.spool"))
		b.same("mode of a file", info.Mode().Perm(), "-rw-------")
	})
	t.Run("keeps the pushes of a process that has ended", func(t *testing.T) {
		b.spool.Close()
		if _, err := b.client.Push(t.Context(), "Job", nil,
			queue.Options{}); !errors.Is(err, spool.ErrClosed) {
			t.Error("push to a closed spool: ", err)
		}
		b.server.Restart()
		b.open(b.server.Store(), spool.Options{})
		b.same("jobs that wait", b.spool.Stats().Waiting, 1)
		b.push("a", "a2")
		b.same("the files", b.files(), "00000001.spool 00000002.spool lock")
		b.run()
		b.drained()
		b.same("jobs of a", b.jids("a"), "a1 a2")
		b.same("the files", b.files(), "lock")
	})
}

// damage changes a file of the spool, which is closed meanwhile.
func (b *bench) damage(name string, change func(bytes []byte) []byte) {
	b.Helper()
	path := filepath.Join(b.dir, name)
	bytes, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, change(bytes), 0o600)
	}
	if err != nil {
		b.Fatal(err)
	}
}

// reopen closes the spool and opens it again.
func (b *bench) reopen() {
	b.Helper()
	b.spool.Close()
	b.open(b.store, spool.Options{})
}

func TestInterruptedPush(t *testing.T) {
	b := newBench(t, spool.Options{})
	b.server.Kill()
	b.push("a", "a1")
	b.push("a", "a2")
	b.spool.Close()
	t.Run("is dropped, and told", func(t *testing.T) {
		b.damage("00000001.spool", func(file []byte) []byte { return file[:len(file)-1] })
		b.reopen()
		b.same("jobs that wait", b.spool.Stats().Waiting, 1)
		if !strings.Contains(b.log.String(), "interrupted by a crash") {
			t.Error(b.log.String())
		}
	})
	t.Run("is told once", func(t *testing.T) {
		b.reopen()
		if strings.Contains(b.log.String(), "interrupted by a crash") {
			t.Error(b.log.String())
		}
	})
	t.Run("leaves those before it", func(t *testing.T) {
		b.push("a", "a3")
		b.server.Restart()
		b.run()
		b.drained()
		b.same("jobs of a", b.jids("a"), "a1 a3")
		b.same("the files", b.files(), "lock")
	})
}

func TestDamagedFile(t *testing.T) {
	b := newBench(t, spool.Options{})
	b.server.Kill()
	b.push("a", "a1")
	b.push("a", "a2")
	b.push("a", "a3")
	b.reopen()
	b.push("a", "b1")
	b.spool.Close()
	b.damage("00000001.spool", func(file []byte) []byte {
		file[bytes.Index(file, []byte("a2"))]++
		return file
	})
	b.reopen()
	b.server.Restart()
	b.run()
	b.drained()
	t.Run("loses what comes after the damage, and nothing else", func(t *testing.T) {
		b.same("jobs of a", b.jids("a"), "a1 b1")
	})
	t.Run("is kept, and told", func(t *testing.T) {
		b.same("the files", b.files(), "00000001.spool.damaged lock")
		if !strings.Contains(b.log.String(), "level=ERROR") {
			t.Error(b.log.String())
		}
	})
	t.Run("is left alone later", func(t *testing.T) {
		b.reopen()
		b.same("jobs that wait", b.spool.Stats().Waiting, 0)
		b.same("the files", b.files(), "00000001.spool.damaged lock")
	})
}

func TestPlaceInFile(t *testing.T) {
	b := newBench(t, spool.Options{})
	b.server.Kill()
	for i := range 1500 {
		b.push("a", fmt.Sprint(i))
	}
	b.server.Restart()
	// The second group is refused, so that Run ends when the first is pushed.
	ctx, cancel := context.WithCancel(t.Context())
	b.spool.Close()
	b.open(&firstOnly{Backend: b.store, end: cancel}, spool.Options{})
	if err := b.spool.Run(ctx); err != nil {
		t.Fatal(err)
	}
	t.Run("is where the next process goes on, also when Redis has forgotten the JIDs",
		func(t *testing.T) {
			b.same("jobs of a", b.raw.LLen(t.Context(), "queue:a").Val(), 1000)
			for _, key := range b.raw.Keys(t.Context(), "kyu:pushed:*").Val() {
				b.raw.Del(t.Context(), key)
			}
			b.reopen()
			b.same("jobs that wait", b.spool.Stats().Waiting, 500)
			b.same("the files", b.files(), "00000001.spool lock") // none is aside
			b.run()
			b.drained()
			b.same("jobs of a", b.raw.LLen(t.Context(), "queue:a").Val(), 1500)
		})
}

// firstOnly is a Backend that carries out one push, and ends something at the next one.
type firstOnly struct {
	queue.Backend
	end    func()
	pushed bool
}

func (f *firstOnly) PushBatches(ctx context.Context, batches []queue.Batch) error {
	if f.pushed {
		f.end()
		return errors.New("the end of the context interrupted it")
	}
	f.pushed = true
	return f.Backend.PushBatches(ctx, batches)
}

func TestFullDisk(t *testing.T) {
	disk := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs",
		disk).CombinedOutput(); err != nil {
		t.Skipf("needs the right to mount a small file system: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", disk).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	b := newBench(t, spool.Options{})
	b.spool.Close()
	b.dir = disk
	b.open(b.store, spool.Options{})
	b.server.Kill()
	var kept []string
	refused := 0
	for i := range 300 {
		jid := fmt.Sprint(i)
		_, err := b.client.Push(t.Context(), "Job", letters(500),
			queue.Options{Queue: "a", JID: jid})
		switch {
		case err == nil:
			kept = append(kept, jid)
		case errors.Is(err, syscall.ENOSPC):
			refused++
		default:
			t.Fatal(err)
		}
	}
	t.Run("refuses pushes with an error that says so", func(t *testing.T) {
		if refused < 100 || len(kept) < 50 {
			t.Errorf("%d kept, %d refused", len(kept), refused)
		}
	})
	t.Run("keeps all that returned without an error, and nothing else", func(t *testing.T) {
		b.reopen()
		b.server.Restart()
		b.run()
		b.drained()
		b.same("jobs of a", b.jids("a"), strings.Join(kept, " "))
	})
}
