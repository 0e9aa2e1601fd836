package database

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/user"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dialing are the parameters of libpq for the connection below Postgres.
type dialing struct {
	keepAlive   net.KeepAliveConfig
	userTimeout time.Duration // tcp_user_timeout: after which unacknowledged data end a connection
	peer        string        // requirepeer: the user that must serve a Unix socket
}

// takeDialing moves the parameters of the connection below Postgres into pgx's dialer.
func (a *endpoint) takeDialing() (problems []error) {
	x := a.config.ConnConfig
	d := dialing{keepAlive: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Minute}}
	take := func(key string, low int, use func(n int)) {
		value, given := x.RuntimeParams[key]
		delete(x.RuntimeParams, key)
		if !given || value == "" {
			return
		}
		n, err := number(value, low, 1<<31-1)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s=%s: %w", key, value, err))
			return
		}
		use(n)
	}
	seconds := func(n int) time.Duration {
		if n == 0 {
			return -1 // as the system does
		}
		return time.Duration(n) * time.Second
	}
	take("keepalives", 0, func(n int) { d.keepAlive.Enable = n != 0 })
	take("keepalives_idle", 0, func(n int) { d.keepAlive.Idle = seconds(n) })
	take("keepalives_interval", 0, func(n int) { d.keepAlive.Interval = seconds(n) })
	take("keepalives_count", 0, func(n int) { d.keepAlive.Count = n })
	take("tcp_user_timeout", 0, func(n int) { d.userTimeout = time.Duration(n) * time.Millisecond })
	d.peer = x.RuntimeParams["requirepeer"]
	delete(x.RuntimeParams, "requirepeer")
	x.DialFunc = d.dial
	if err := a.takeHostAddr(); err != nil {
		problems = append(problems, err)
	}
	return problems
}

// takeHostAddr uses hostaddr: the IP addresses to connect to, while certificates are checked for
// the names in host.
func (a *endpoint) takeHostAddr() error {
	x := a.config.ConnConfig
	list, given := x.RuntimeParams["hostaddr"]
	delete(x.RuntimeParams, "hostaddr")
	if !given || list == "" {
		return nil
	}
	hosts := []string{x.Host}
	for _, f := range x.Fallbacks {
		if f.Host != hosts[len(hosts)-1] { // sslmode=prefer has each host twice
			hosts = append(hosts, f.Host)
		}
	}
	addresses := map[string][]string{}
	for i, text := range strings.Split(list, ",") {
		if net.ParseIP(text) == nil || i >= len(hosts) {
			return fmt.Errorf("hostaddr=%s: want one IP address for each host", list)
		}
		addresses[hosts[i]] = []string{text}
	}
	if len(addresses) != len(hosts) || strings.HasPrefix(x.Host, "/") {
		return fmt.Errorf("hostaddr=%s: want host too, with one name for each address", list)
	}
	x.LookupFunc = func(_ context.Context, host string) ([]string, error) {
		return addresses[host], nil
	}
	return nil
}

// dial connects as the parameters say.
func (d *dialing) dial(ctx context.Context, network, to string) (net.Conn, error) {
	dialer := net.Dialer{KeepAlive: -1, KeepAliveConfig: d.keepAlive}
	if d.userTimeout > 0 && strings.HasPrefix(network, "tcp") {
		dialer.Control = func(_, _ string, raw syscall.RawConn) (err error) {
			wrong := raw.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT,
					int(d.userTimeout.Milliseconds()))
			})
			return errors.Join(wrong, err)
		}
	}
	conn, err := dialer.DialContext(ctx, network, to)
	if err != nil || d.peer == "" || network != "unix" {
		return conn, err
	}
	if err := d.checkPeer(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// checkPeer checks that the process behind a Unix socket runs as the user that requirepeer names.
func (d *dialing) checkPeer(conn net.Conn) error {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return err
	}
	var peer *unix.Ucred
	if wrong := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); wrong != nil || err != nil {
		return errors.Join(wrong, err)
	}
	want, err := user.Lookup(d.peer)
	if err != nil {
		return fmt.Errorf("requirepeer=%s: %w", d.peer, err)
	}
	if have := strconv.FormatUint(uint64(peer.Uid), 10); have != want.Uid {
		return fmt.Errorf("requirepeer=%s: the server runs as the user with the id %s", d.peer,
			have)
	}
	return nil
}
