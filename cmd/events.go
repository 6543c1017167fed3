package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/evenkeel/evenkeel/api/v1alpha1"
	"github.com/evenkeel/evenkeel/state"
)

func newEventsCommand(g *globals) *cobra.Command {
	var follow bool
	var since string
	var limit int
	c := &cobra.Command{
		Use:   "events [APP]",
		Short: "Show what happened, from the journal",
		Long: `Events shows what evenkeel saw, decided and did, oldest first. With -o json each event is one line of JSON.

It reads the journal in the state folder, so that it works whether a supervisor runs or not.`,
		Example: examples("evenkeel events", "evenkeel events my-site --since 1h", "evenkeel events -f -o json | jq -r .message"),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			q := state.Query{Limit: limit}
			if limit < 0 {
				return usagef("-n %d: want how many events to show at most, or 0 for all", limit)
			}
			if since != "" {
				at, err := parseMoment(since, g.clock().Wall.Time, -1)
				if err != nil {
					return usagef("--since %s: %w", since, err)
				}
				q.Since = at
			}
			found, err := g.find()
			if err != nil {
				return err
			}
			list, err := names(found, args)
			if err != nil {
				return err
			}
			var journals []*state.Journal
			for _, name := range list {
				journal, err := state.NewJournal(found.Dir, name)
				if err != nil {
					return err
				}
				journals = append(journals, journal)
			}
			if follow {
				return g.followEvents(c.Context(), journals, q)
			}
			return g.printEvents(journals, q)
		},
		ValidArgsFunction: g.completeApps,
	}
	c.Flags().BoolVarP(&follow, "follow", "f", false, "go on with new events until interrupted")
	c.Flags().StringVar(&since, "since", "", "only what happened since then: a duration such as 90m or 2d, or a time such as 2026-11-23T03:00:00Z")
	c.Flags().IntVarP(&limit, "lines", "n", 50, "how many events at most, the newest; 0 for all")
	g.addOutput(c, "json")
	return c
}

// printEvents prints what the journals hold.
func (g *globals) printEvents(journals []*state.Journal, q state.Query) error {
	var events []v1alpha1.Event
	for _, journal := range journals {
		more, err := journal.Read(q)
		if err != nil {
			return err
		}
		events = append(events, more...)
	}
	slices.SortStableFunc(events, func(a, b v1alpha1.Event) int { return a.Time.Compare(b.Time.Time) })
	if over := len(events) - q.Limit; q.Limit > 0 && over > 0 {
		events = events[over:]
	}
	if g.Output == "json" {
		for _, e := range events {
			if err := writeJSONLine(g.Stdout, e); err != nil {
				return err
			}
		}
		return nil
	}
	if len(events) == 0 {
		_, err := fmt.Fprintln(g.Stdout, "nothing was recorded")
		return err
	}
	_, err := fmt.Fprint(g.Stdout, eventsText(events, g.clock().Wall.Time, styleFor(g.Stdout), true))
	return err
}

// followEvents prints what the journals hold, and each new event as it is written.
func (g *globals) followEvents(ctx context.Context, journals []*state.Journal, q state.Query) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var mu sync.Mutex
	warn := func(err error) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintln(g.Stderr, "evenkeel:", err)
	}
	all := make(chan v1alpha1.Event)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	for _, journal := range journals {
		events, err := journal.Follow(ctx, q, warn)
		if err != nil {
			return err
		}
		running.Go(func() {
			for e := range events {
				select {
				case all <- e:
				case <-ctx.Done(): // go on taking, until the journal's own end
				}
			}
		})
	}
	s, head := styleFor(g.Stdout), true
	for {
		select {
		case <-ctx.Done():
			return nil
		case e := <-all:
			if err := g.printFollowed(e, s, head); err != nil {
				return err
			}
			head = false
		}
	}
}

func (g *globals) printFollowed(e v1alpha1.Event, s style, head bool) error {
	if g.Output == "json" {
		return writeJSONLine(g.Stdout, e)
	}
	_, err := fmt.Fprint(g.Stdout, eventsText([]v1alpha1.Event{e}, g.clock().Wall.Time, s, head))
	return err
}

func writeJSONLine(w io.Writer, e v1alpha1.Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("writing an event: %w", err)
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

// eventsText is a table of events. Its columns have fixed widths, so that what follows later lines up; a longer name
// widens its own line only.
func eventsText(events []v1alpha1.Event, now time.Time, s style, head bool) string {
	width := 3
	for _, e := range events {
		width = max(width, utf8.RuneCountInString(e.App))
	}
	var b strings.Builder
	line := func(at, kind, reason, app, message string, paint func(string) string) {
		pad := func(text string, to int) string {
			return text + strings.Repeat(" ", max(to-utf8.RuneCountInString(text), 0)) + "  "
		}
		b.WriteString(strings.TrimRight(pad(at, 15)+paint(pad(kind, 7))+pad(reason, 18)+pad(app, width)+message, " ") + "\n")
	}
	if head {
		line("TIME", "TYPE", "REASON", "APP", "MESSAGE", s.dim)
	}
	for _, e := range events {
		paint := func(text string) string { return text }
		if e.Type == v1alpha1.EventWarning {
			paint = s.warn
		}
		line(clockTime(e.Time.Time, now), e.Type, e.Reason, e.App, plain(e.Message), paint)
	}
	return b.String()
}

// parseMoment reads a moment: RFC 3339, or a duration that lies before now (sign -1) or after it (sign 1).
func parseMoment(text string, now time.Time, sign int) (time.Time, error) {
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, nil
	}
	d, err := parseDuration(text)
	if err != nil || d <= 0 {
		return time.Time{}, fmt.Errorf("want a duration such as 90m, 2h or 1d, or a time such as %s", now.Format(time.RFC3339))
	}
	return now.Add(time.Duration(sign) * d), nil
}

// parseDuration is time.ParseDuration with days, which come first: 1d12h.
func parseDuration(text string) (time.Duration, error) {
	days, rest, found := strings.Cut(text, "d")
	if !found {
		return time.ParseDuration(text)
	}
	n, err := strconv.Atoi(days)
	if err != nil || n < 0 || n > 36500 {
		return 0, fmt.Errorf("%q is no duration", text)
	}
	d, err := time.ParseDuration(cmp.Or(rest, "0s"))
	return time.Duration(n)*24*time.Hour + d, err
}
