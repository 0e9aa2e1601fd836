package worker

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"github.com/kyujobs/kyu/queue"
	"github.com/kyujobs/kyu/queue/envelope"
)

// newIdentity is host:pid:nonce, as Sidekiq's, in characters that are safe in
// keys and on pages.
func newIdentity(h queue.Host) string {
	var nonce [6]byte
	rand.Read(nonce[:]) // never fails
	return fmt.Sprintf("%s:%d:%s", h.Name, h.PID, hex.EncodeToString(nonce[:]))
}

// thisHost describes the running process.
func thisHost() queue.Host {
	name := os.Getenv("DYNO")
	if name == "" {
		name, _ = os.Hostname()
	}
	h := queue.Host{Name: safeHostname(name), PID: os.Getpid()}
	h.BootID = bootID()
	h.PIDNamespace, _ = os.Readlink("/proc/self/ns/pid")
	h.Started, _, _ = processStart(h.PID)
	return h
}

// bootID names the running kernel. A unit that hides it says it in the
// environment (systemd's %b).
func bootID() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		boot = []byte(os.Getenv("KYU_BOOT_ID"))
	}
	return strings.ReplaceAll(strings.TrimSpace(string(boot)), "-", "")
}

func safeHostname(name string) string {
	name = strings.Map(func(r rune) rune {
		if envelope.ValidName(string(r)) && r != ':' {
			return r
		}
		return '-'
	}, name)
	if name == "" {
		return "localhost"
	}
	return name[:min(len(name), 64)]
}

// processStart is when a process of this host began, in the kernel's ticks, and
// whether it is a zombie. ok is false if that cannot be read: hardened units hide
// the processes of others.
func processStart(pid int) (started string, zombie, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false, false
	}
	_, rest, found := strings.Cut(string(b), ") ") // the name before it may hold anything
	fields := strings.Fields(rest)
	if !found || len(fields) < 20 {
		return "", false, false
	}
	return fields[19], fields[0] == "Z" || fields[0] == "X", true
}

// provenDead reports whether an owner on our own host is gone: same kernel, same
// pid namespace, and its process is not there or is another one. That a process
// is not there only the kernel can say, by ESRCH: in /proc it may be hidden.
func provenDead(self, h queue.Host) bool {
	if h.PID == 0 || h.BootID == "" || h.BootID != self.BootID || h.PIDNamespace == "" ||
		h.PIDNamespace != self.PIDNamespace {
		return false
	}
	if errors.Is(syscall.Kill(h.PID, 0), syscall.ESRCH) {
		return true
	}
	started, zombie, ok := processStart(h.PID)
	return ok && (zombie || (h.Started != "" && started != h.Started))
}
