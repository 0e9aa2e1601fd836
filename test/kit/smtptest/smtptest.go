// Package smtptest starts a real mail server for tests: server.py on Debian's
// python3-aiosmtpd. Its arguments and the recipient of a mail decide its answers.
package smtptest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	_ "embed"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/kyujobs/kyu/test/kit/redistest"
	"github.com/kyujobs/kyu/test/kit/testwait"
)

//go:embed server.py
var program string

// User and Password are the login that the server accepts with --auth.
const (
	User     = "kyu"
	Password = "s3cret pass"
)

// Mail is a mail that the server has taken.
type Mail struct {
	From  string   `json:"from"`  // the envelope's sender
	To    []string `json:"to"`    // the envelope's recipients
	Data  string   `json:"data"`  // headers and body
	TLS   bool     `json:"tls"`   // the connection was encrypted
	Login any      `json:"login"` // the way of the login; false without one
}

// Server is a mail server for one test.
type Server struct {
	Port int

	mu    sync.Mutex
	mails []Mail // written by the reader of server.py's output, read by the test; under mu
}

// Start starts a server on 127.0.0.1; args are those of server.py. It stops at the end of
// the test.
func Start(t testing.TB, args ...string) *Server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "server.py")
	if err := os.WriteFile(path, []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &Server{Port: redistest.FreePort(t)}
	cmd := exec.Command("/usr/bin/python3", append([]string{path, strconv.Itoa(s.Port)},
		args...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatalf("the mail server does not start: %v (make deps)", err)
	}
	read := make(chan struct{})
	go func() { // ends at the end of the server's output
		defer close(read)
		lines := bufio.NewScanner(out)
		lines.Buffer(nil, 4<<20)
		for lines.Scan() {
			var m Mail
			if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
				t.Errorf("the mail server printed %s", lines.Text())
				continue
			}
			s.mu.Lock()
			s.mails = append(s.mails, m)
			s.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-read
		cmd.Wait()
	})
	testwait.Until(t, 15*time.Second,
		"the mail server answers (is python3-aiosmtpd installed? make deps)", func() bool {
			conn, err := net.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)))
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	return s
}

// Await waits until the server has taken n mails, and returns them. The server tells of a mail when
// it answers its sender, so the news may come a little after the sender has the answer.
func (s *Server) Await(t testing.TB, n int) []Mail {
	t.Helper()
	testwait.Until(t, 10*time.Second, fmt.Sprintf("the server has %d mails", n),
		func() bool { return len(s.Mails()) >= n })
	return s.Mails()
}

// Mails returns the mails that the server has taken.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Certificate makes a self-signed certificate for 127.0.0.1 and localhost. It returns the
// path of a file with the certificate and its key.
func Certificate(t testing.TB) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"},
		DNSNames:    []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour),
		IsCA:     true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})...)
	path := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
