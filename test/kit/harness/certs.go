package harness

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certs is a certificate authority for a test.
type Certs struct {
	Dir  string // holds its files
	site *Site
	ca   *x509.Certificate
	key  *ecdsa.PrivateKey
}

// NewCerts makes an authority. Its own certificate is in ca.pem.
func (s *Site) NewCerts() *Certs {
	s.Helper()
	c := &Certs{Dir: s.TempDir(), site: s}
	s.Must(os.Chmod(c.Dir, 0o755))
	c.ca, c.key = c.issue("ca", nil)
	return c
}

// Path returns the path of a file.
func (c *Certs) Path(file string) string { return filepath.Join(c.Dir, file) }

// Issue makes the files NAME.pem and NAME.key, for a server with the given names and
// addresses, or for a client if there are none.
func (c *Certs) Issue(name string, hosts ...string) {
	c.site.Helper()
	c.issue(name, hosts)
}

func (c *Certs) issue(name string, hosts []string) (*x509.Certificate, *ecdsa.PrivateKey) {
	c.site.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	c.site.Must(err)
	t := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:   pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	for _, h := range hosts {
		if ip := net.ParseIP(h); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else {
			t.DNSNames = append(t.DNSNames, h)
		}
	}
	parent, signer := c.ca, c.key
	if parent == nil {
		t.IsCA, t.BasicConstraintsValid, t.KeyUsage = true, true, x509.KeyUsageCertSign
		parent, signer = t, key
	}
	der, err := x509.CreateCertificate(rand.Reader, t, parent, &key.PublicKey, signer)
	c.site.Must(err)
	c.write(name+".pem", "CERTIFICATE", der, 0o644)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	c.site.Must(err)
	c.write(name+".key", "PRIVATE KEY", secret, 0o600)
	made, err := x509.ParseCertificate(der)
	c.site.Must(err)
	return made, key
}

func (c *Certs) write(file, kind string, der []byte, mode os.FileMode) {
	c.site.Helper()
	c.site.Must(os.WriteFile(c.Path(file),
		pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), mode))
}
