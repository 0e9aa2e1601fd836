package redisdb

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"testing"
)

func TestExplain(t *testing.T) {
	t.Parallel()
	const certificates, running = "check REDIS_TLS_CA", "is it running"
	for name, c := range map[string]struct {
		err  error
		tls  bool
		want string
	}{
		"an alert names the certificates": {errors.New("tls: required"), true, certificates},
		"a reset over TLS names them":     {syscall.ECONNRESET, true, certificates},
		"a broken pipe over TLS names them": {
			fmt.Errorf("write: %w", syscall.EPIPE), true, certificates},
		"an end over TLS names them":                {io.EOF, true, certificates},
		"a reset without TLS asks whether it runs":  {syscall.ECONNRESET, false, running},
		"a refused connection asks whether it runs": {syscall.ECONNREFUSED, true, running},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := explain(c.err, "redis:6379", c.tls)
			if !strings.Contains(err.Error(), c.want) || !errors.Is(err, c.err) {
				t.Errorf("%v", err)
			}
		})
	}
}
