package survey

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

var bbyatch = target{process: "bbyatch", directory: "/home/deploy/bbyatch", port: 3003}

// script is what the owner of such a site has written.
const script = `#!/bin/bash
APP_NAME="bbyatch"
PORT=3003
while true; do
  if ! curl -fs "http://localhost:$PORT" >/dev/null; then
    pm2 stop "$APP_NAME"
    lsof -ti :$PORT | xargs kill -9
    pm2 restart "$APP_NAME" --update-env
  fi
  sleep 60
done
`

func TestJudge(t *testing.T) {
	for text, want := range map[string]string{
		script:                       "sure",
		"pm2 restart bbyatch":        "sure",
		"/usr/bin/pm2 -s reload all": "maybe",
		"pm2 restart all":            "sure",
		"pm2 restart shop":           "maybe",
		"pm2 restart bbyatch-admin":  "maybe",
		"cd /home/deploy/bbyatch && pm2 startOrReload": "sure",
		"pm2 logs bbyatch":                       "no",
		"pm2 save":                               "no",
		"pm2 ls # then restart bbyatch":          "no",
		"curl http://localhost:3003":             "no",
		"fuser -k 3003/tcp":                      "sure",
		"pkill -f node":                          "maybe",
		"systemctl restart pm2-deploy":           "maybe",
		"evenkeel run -f x; pm2 restart bbyatch": "no",
		"":                                       "no",
	} {
		found, sure := judge(text, bbyatch)
		if got := map[bool]string{false: "no", true: map[bool]string{false: "maybe", true: "sure"}[sure]}[found]; got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestSchedules(t *testing.T) {
	home := tree(t, map[string]string{
		"monitor.sh": script, "backup.sh": "tar c /home/deploy/bbyatch", "app/bin/check.sh": script,
		".config/systemd/user/watch.service":                           "[Service]\nExecStart=/bin/sh -c 'pm2 restart bbyatch'\n",
		".config/systemd/user/default.target.wants/watch.service":      "-> ../watch.service",
		".config/systemd/user/never-switched-on.service":               "[Service]\nExecStart=pm2 restart bbyatch\n",
		".config/systemd/user/timers.target.wants/by-timer.timer":      "",
		".config/systemd/user/by-timer.service":                        "[Service]\nType=oneshot\nExecStart=pm2 restart shop\n",
		".config/systemd/user/default.target.wants/pm2-deploy.service": "",
		".config/systemd/user/pm2-deploy.service":                      "ExecStart=pm2 resurrect\nExecReload=pm2 reload all\nExecStop=pm2 kill\n",
	})
	etc := tree(t, map[string]string{
		"crontab":             "SHELL=/bin/sh\n# pm2 restart bbyatch\n17 * * * * root cd / && run-parts /etc/cron.hourly\n",
		"cron.d/site":         "@reboot deploy pm2 start bbyatch\n*/5 * * * * deploy " + home + "/monitor.sh >> /dev/null 2>&1\n0 3 * * * deploy " + home + "/backup.sh\n",
		"cron.d/.hidden":      "* * * * * x pm2 restart bbyatch\n",
		"cron.hourly/nightly": "#!/bin/sh\npm2 reload shop\n",
		"monit/monitrc":       "check process bbyatch with pidfile /x\n start program = \"/usr/bin/pm2 start bbyatch\"",
	})
	spool := tree(t, map[string]string{"crontabs/root": "* * * * * cd " + home + "/app && ./bin/check.sh\n"})
	f := Facts{}
	w := &watch{s: &Surveyor{Etc: etc, Spool: spool, Crontab: func(context.Context) ([]byte, error) {
		return []byte("MAILTO=x\n\n*/2 * * * * curl -fs localhost:3003 || pm2 restart bbyatch\n"), nil
	}}, t: bbyatch, home: home, f: &f}
	w.monit()
	w.cron(t.Context())
	w.units()
	var got []string
	for _, d := range f.Watchdogs {
		where := strings.NewReplacer(etc, "ETC", spool, "SPOOL", home, "HOME").Replace(d.Where)
		got = append(got, fmt.Sprintf("%s at %s, sure %v", d.What, where, d.Sure))
	}
	want := []string{
		"Monit, which does not run now at ETC/monit, sure true",
		"a cron job at ETC/cron.d/site, line 2, sure true",
		"a cron job at ETC/cron.hourly/nightly, sure false",
		"a cron job at SPOOL/crontabs/root, line 1, sure true",
		"a cron job at crontab -l, line 3, sure true",
		"the systemd unit by-timer.service at HOME/.config/systemd/user/by-timer.service, sure false",
		"the systemd unit watch.service at HOME/.config/systemd/user/watch.service, sure true",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
