package acceptance

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// packagedDashboard is the dashboard of the Debian package, as a unit. The network of the systemd
// is this machine's, so the test reaches it.
type packagedDashboard struct {
	*booted
	port int
}

// page returns the status and the text of a page.
func (d *packagedDashboard) page(path string) (status int, text string) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", d.port, path))
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	b, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b)
}

// starts starts the unit as the package ships it. When the start has returned, a page is served.
func (d *packagedDashboard) starts() {
	d.Helper()
	d.Write("/etc/kyu/dashboard.env", fmt.Sprintf("DASHBOARD_ARGS=--listen 127.0.0.1:%d "+
		"--base /kyu\n", d.port))
	d.Contains("install-units", d.Do("workerctl", "install-units", "--dashboard"),
		"kept  /etc/kyu/dashboard_key")
	d.Do("systemctl", "enable", "--now", "dashboard")
	status, page := d.page("/kyu/queues")
	d.Equal("status without users", status, http.StatusOK)
	d.Contains("the page", page, "/kyu/assets/")
	log := d.Journal("dashboard")
	for _, bad := range []string{"operation not permitted", d.Server.URL} {
		if strings.Contains(log, bad) {
			d.Errorf("the dashboard logs %q:\n%s", bad, log)
		}
	}
}

// isUpgraded checks what an upgrade of the package has done to the unit that runs.
func (d *packagedDashboard) isUpgraded() {
	d.Helper()
	d.Until(20*time.Second, "the new version serves pages", func() bool {
		status, _ := d.page("/kyu/queues")
		return status == http.StatusOK
	})
	d.Contains("version", d.Do("sh", "-c", "$(readlink /proc/"+d.Get("dashboard", "MainPID")+
		"/exe) --version"), "0.2.0")
}
