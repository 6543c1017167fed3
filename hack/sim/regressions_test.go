package main

import (
	"testing"
	"time"
)

// TestSchedulesThatOnceBroke replays the short schedules to which findings were shrunk. Each names what it broke.
func TestSchedulesThatOnceBroke(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		name     string
		schedule Schedule
	}{
		{"the end of a long outage of the proxy was never told", Schedule{Length: 6 * time.Hour, Entries: []Entry{
			{Kind: "proxy-down", At: 83 * time.Minute, For: 50 * time.Minute},
		}}},
		{"a machine that is starved made the application its own orphan, and cost it its life", Schedule{Length: 6 * time.Hour, Entries: []Entry{
			{Kind: "starved", At: 91 * time.Minute, For: 14 * time.Minute},
		}}},
		{"an operator who stopped a crash loop was overruled", Schedule{Length: 6 * time.Hour, Entries: []Entry{
			{Kind: "crash-loop", At: 90 * time.Minute, For: 2 * time.Hour, N: 1},
			{Kind: "pm2-stop", At: 94 * time.Minute, For: 40 * time.Minute},
		}}},
		{"an operator's stop was overruled because the proxy had been down for long", Schedule{Length: 8 * time.Hour, Entries: []Entry{
			{Kind: "proxy-wrong", At: 64 * time.Minute, For: 58 * time.Minute},
			{Kind: "pm2-stop", At: 98 * time.Minute, For: 40 * time.Minute},
		}}},
		{"an operator's stop was held for ever, because another hold's limit was spent", Schedule{Length: 8 * time.Hour, Entries: []Entry{
			{Kind: "database-down", At: 96 * time.Minute, For: 109 * time.Minute},
			{Kind: "pm2-stop", At: 168 * time.Minute, For: 40 * time.Minute},
		}}},
		{"an operator's stop was overruled because the database had been down for long", Schedule{Length: 8 * time.Hour, Entries: []Entry{
			{Kind: "database-down", At: 102 * time.Minute, For: 2 * time.Hour},
			{Kind: "pm2-stop", At: 122 * time.Minute, For: 40 * time.Minute},
		}}},
		{"a deploy that had just begun was taken to have had its time, for the proxy had been down before it", Schedule{Length: 8 * time.Hour, Entries: []Entry{
			{Kind: "proxy-down", At: 64 * time.Minute, For: 3 * time.Hour},
			{Kind: "deploy-hangs", At: 140 * time.Minute, For: time.Hour, N: 1},
		}}},
		{"a crash loop was taken for somebody else's fault, and got a fourth attempt", Schedule{Variant: "brisk", Length: 5 * time.Hour, Entries: []Entry{
			{Kind: "crash-loop", At: 82 * time.Minute, For: 72 * time.Minute, N: 514887},
		}}},
		{"attempts were forgotten after five minutes, because the site had been well before them", Schedule{Length: 6 * time.Hour, Entries: []Entry{
			{Kind: "dns", At: 96 * time.Minute, For: 52 * time.Minute},
			{Kind: "starved", At: 141 * time.Minute, For: 15 * time.Minute},
		}}},
		{"the same, with a fault of the application's own", Schedule{Length: 6 * time.Hour, Entries: []Entry{
			{Kind: "dns", At: 6825700 * time.Millisecond, For: 33 * time.Minute},
			{Kind: "deaf", At: 147 * time.Minute},
		}}},
		{"a stranger on the port was not spoken of for hours", Schedule{Length: 6 * time.Hour, Entries: []Entry{
			{Kind: "stranger", At: 75 * time.Minute, For: 3 * time.Hour},
		}}},
		{"a stand-down in a recovery was lost when evenkeel died in it", Schedule{Length: day, Entries: []Entry{
			{Kind: "errors", At: 90 * time.Minute},
			{Kind: "stand-down", At: 90*time.Minute + time.Second, Phase: "Recovering", Delay: 2 * time.Second},
			{Kind: "restarted", At: 90*time.Minute + 2*time.Second, Phase: "Recovering", Delay: 3 * time.Second, N: 20},
		}}},
		{"a stop that PM2 had not carried out yet was forgotten when evenkeel died after it", Schedule{Length: 12 * time.Hour, Entries: []Entry{
			{Kind: "hang-always", At: 108 * time.Minute, For: 2 * time.Hour},
			{Kind: "pm2-hangs", At: 110 * time.Minute, For: 47 * time.Minute},
			{Kind: "reset-while-down", At: 111 * time.Minute, Phase: "Recovering"},
		}}},
		{"the same, with a stand-down", Schedule{Length: 12 * time.Hour, Entries: []Entry{
			{Kind: "deaf", At: 71 * time.Minute},
			{Kind: "pm2-hangs", At: 71*time.Minute + 2*time.Second, Phase: "Recovering", For: 14 * time.Minute},
			{Kind: "stand-down-while-down", At: 71*time.Minute + 3*time.Second, Phase: "Recovering"},
		}}},
		{"an older state file that an editor saved while evenkeel was down was believed", Schedule{Length: day, Entries: []Entry{
			{Kind: "reset", At: 97*time.Minute + 30*time.Second, N: 77}, // saved 77 s later
			{Kind: "exit-for-good", At: 97*time.Minute + 40*time.Second},
			{Kind: "reset-while-down", At: 97*time.Minute + 40*time.Second, Phase: "Recovering", Delay: 3 * time.Second},
		}}},
		{"a state file from before the state was lost, saved while evenkeel was down, was believed", Schedule{Length: 114 * time.Minute, Entries: []Entry{
			{Kind: "pm2-gone", At: 94 * time.Minute, For: 64 * time.Minute},
			{Kind: "stale-save", At: 94 * time.Minute, Phase: "Degraded", Delay: 151900 * time.Millisecond, For: 13 * time.Minute},
			{Kind: "state-lost", At: 101 * time.Minute},
			{Kind: "restarted", At: 108 * time.Minute, N: 387840},
		}}},
		{"one slow answer while the database was down cost the application its life", Schedule{Length: 6 * time.Hour, Entries: []Entry{
			{Kind: "database-down", At: 90 * time.Minute, For: 2 * time.Hour},
			{Kind: "pause-3s", At: 150 * time.Minute},
		}}},
		{"a pause after a recovery that had failed excused it, and a fourth one followed", Schedule{Length: 4 * time.Hour, Entries: []Entry{
			{Kind: "errored", At: 3917200 * time.Millisecond},
			{Kind: "hang-always", At: 65 * time.Minute, For: time.Hour},
			{Kind: "pause-until", At: 77 * time.Minute, For: 20 * time.Minute},
		}}},
		{"without a local check, the lives before a recovery that worked made a crash loop after it", Schedule{Variant: "inward", Length: 5 * time.Hour, Entries: []Entry{
			{Kind: "hog", At: 92 * time.Minute, For: 174 * time.Minute},
			{Kind: "other-spec", At: 92 * time.Minute},
			{Kind: "cache-corrupt", At: 128 * time.Minute, N: 794599},
		}}},
		{"what could not be written for a full disk was wanted back after an end in good order", Schedule{Length: 825 * time.Minute, Entries: []Entry{
			{Kind: "disk-full", At: 148 * time.Minute, For: 20 * time.Minute},
			{Kind: "restarted", At: 150 * time.Minute, Phase: "Degraded", Delay: 142500 * time.Millisecond},
		}}},
	} {
		if c.schedule.Variant == "" {
			c.schedule.Variant = "default"
		}
		if broken := replay(c.schedule); broken != "" {
			t.Errorf("%s: %s", c.name, broken)
		}
	}
}
