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
	port, stream int
}

// page returns the status and the text of a page.
func (d *packagedDashboard) page(path string) (status int, text string) {
	return d.at(d.port, path)
}

func (d *packagedDashboard) at(port int, path string) (status int, text string) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Get(fmt.Sprintf("http://127.0.0.1:%d%s", port, path))
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

// hasUsers adds a user as an admin does it. The file belongs to root alone, and the unit reads it.
func (d *packagedDashboard) hasUsers() {
	d.Helper()
	d.Contains("adduser", d.Do("sh", "-c", "echo correct horse | dashboard adduser ada --role "+
		"admin"), "systemctl restart dashboard")
	d.Equal("mode and owner of the users", strings.TrimSpace(d.Do("stat", "-c", "%a %U",
		"/etc/kyu/dashboard_users")), "600 root")
	d.Do("systemctl", "restart", "dashboard")
	status, _ := d.page("/kyu/queues")
	d.Equal("status with users", status, http.StatusUnauthorized)
}

// streams starts a process of the stream, which lets nobody in without a ticket.
func (d *packagedDashboard) streams() {
	d.Helper()
	unit := fmt.Sprintf("dashboard-stream@%d", d.stream)
	d.Do("systemctl", "enable", "--now", unit)
	status, text := d.at(d.stream, "/live")
	if status != http.StatusUnauthorized && status != http.StatusForbidden {
		d.Errorf("without a ticket the stream answers %d %s", status, text)
	}
	d.Equal("limit of open files", d.Get(unit, "LimitNOFILE"), "65536")
}

// isUpgraded checks what an upgrade of the package has done to the unit that runs.
func (d *packagedDashboard) isUpgraded() {
	d.Helper()
	d.Until(20*time.Second, "the new version serves pages", func() bool {
		status, _ := d.page("/kyu/queues")
		return status == http.StatusUnauthorized
	})
	d.Contains("version", d.Do("sh", "-c", "$(readlink /proc/"+d.Get("dashboard", "MainPID")+
		"/exe) --version"), "0.2.0")
}
