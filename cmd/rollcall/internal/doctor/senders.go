package doctor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"rollcall/facts"
	"rollcall/internal/show"
	"rollcall/store/checks"
	"rollcall/store/finding"
	"rollcall/store/status"
	"rollcall/watch"
)

// traffic holds recent deliveries, read once.
func (d *doctor) traffic(ctx context.Context) (status.Traffic, error) {
	if d.seen != nil {
		return *d.seen, nil
	}
	now := d.now().UTC()
	seen, err := status.New(d.store).Traffic(ctx, now.Add(-watch.Weeks), now)
	if err != nil {
		return seen, err
	}
	if d.watches, err = status.New(d.store).Watches(ctx); err != nil {
		return seen, err
	}
	d.seen = &seen
	return seen, nil
}

// verdicts are the current verdicts of some watches, however briefly they have lasted.
func (d *doctor) verdicts(seen status.Traffic, kinds ...string) (some []finding.Finding) {
	for _, f := range watch.Judge(seen) {
		if !slices.Contains(kinds, f.Kind) || f.Severity == finding.OK {
			continue
		}
		for _, w := range d.watches {
			if w.Name == f.Name() && w.State != status.OK {
				f.What += fmt.Sprintf(" (since %s)", w.Since.Format("2006-01-02 15:04 UTC"))
			}
		}
		some = append(some, f)
	}
	return some
}

// checkSenders checks that sources still send, and that their webhooks are accepted.
func (d *doctor) checkSenders(ctx context.Context) error {
	seen, err := d.traffic(ctx)
	if err != nil {
		return err
	}
	unheard, err := d.checkup.Unheard(ctx)
	if err != nil {
		return err
	}
	for _, source := range status.Sources() {
		d.refusedForSecrets(source, seen)
		switch last := watch.LastKept(source, seen); {
		case slices.Contains(unheard, source) && watch.Refuses(source, seen): // and what refuses them is found below
		case slices.Contains(unheard, source) && slices.Contains(facts.MailSources, source): // most sites have one, or none
		case slices.Contains(unheard, source):
			d.find(finding.Finding{Kind: "source_unheard", Subject: source,
				What: "No webhook from " + watch.Sender(source) + " has been received yet", Fix: checks.FirstWords(source)})
		case !last.IsZero():
			d.fine("%s sent last %s", watch.Sender(source), show.Ago(d.now().Sub(last)))
		}
	}
	for _, source := range status.Sources() {
		d.unsigned(source, seen)
	}
	for _, f := range d.verdicts(seen, watch.Silent, watch.Signatures, watch.Refused) {
		d.find(f)
	}
	return nil
}

// unsigned reports deliveries without a valid signature beside valid ones. No watch
// does so, because anyone can send them.
func (d *doctor) unsigned(source string, seen status.Traffic) {
	bad, good := watch.Unsigned(source, seen)
	if bad == 0 || good == 0 {
		return
	}
	d.find(finding.Finding{Kind: watch.Signatures, Subject: source, Severity: finding.Note, Count: bad,
		What: fmt.Sprintf("Rejected %d webhooks from %s in the last hours: their signature matches no secret that is set "+
			"here; that of %d others does. A stranger sends them, or a second endpoint whose secret is missing", bad,
			watch.Sender(source), good),
		Fix: []string{
			"export " + watch.SecretsOf(source) +
				"=whsec_NEW,whsec_OLD   # where serve runs, if the sender's dashboard shows that an endpoint fails"}})
}

// refusedForSecrets reports deliveries that were rejected for lack of secrets, if
// nothing has been stored since.
func (d *doctor) refusedForSecrets(source string, seen status.Traffic) {
	var n int64
	last := watch.LastKept(source, seen)
	for _, c := range seen.Deliveries {
		if c.Source == source && c.Outcome == "not_configured" && c.Last.After(last) {
			n += c.Count
		}
	}
	if n == 0 {
		return
	}
	name := watch.SecretsOf(source)
	d.find(finding.Finding{Kind: "setting_missing", Subject: name, Severity: finding.Problem, Count: n,
		What: fmt.Sprintf("Webhooks from %s find no secret where serve runs, and are rejected: %d so far",
			watch.Sender(source), n),
		Fix: []string{"export " + name + "=<SECRET>   # where serve runs, then restart it"}})
}

// checkEvents checks for failed and overdue events.
func (d *doctor) checkEvents(ctx context.Context) error {
	seen, err := d.traffic(ctx)
	if err != nil {
		return err
	}
	bad := d.verdicts(seen, watch.Failing, watch.Overdue)
	for _, f := range bad {
		f.Count = seen.Overdue.Count
		for _, e := range seen.Failing {
			if f.Kind == watch.Failing && f.Subject == e.Source+"/"+e.Type {
				d.describeFailing(&f, e)
			}
		}
		d.find(f)
	}
	if len(bad) == 0 {
		d.fine("no event has failed, and none waits for long")
	}
	d.staleWatches()
	return nil
}

// describeFailing adds which events fail, and why.
func (d *doctor) describeFailing(f *finding.Finding, e status.FailingEvents) {
	f.Count = e.Failed + e.Trying
	for i, id := range e.Events[:min(len(e.Events), d.Options.Examples)] {
		text := fmt.Sprintf("event %d", id)
		if i == 0 && e.Error != "" {
			text += ": " + e.Error
		}
		f.Examples = append(f.Examples, finding.Example{What: show.Clip(text, maxExample)})
	}
	if e.Failed > 0 && len(e.Events) > 0 {
		f.Fix = append([]string{fmt.Sprintf("rollcall events show %d", e.Events[0])}, f.Fix...)
	}
}

// watchesRest is how old the last update of the watches may be.
const watchesRest = 10 * time.Minute

// staleWatches reports that workers run but do not update the watches.
func (d *doctor) staleWatches() {
	var last time.Time
	for _, w := range d.watches {
		if w.CheckedAt.After(last) {
			last = w.CheckedAt
		}
	}
	if !d.asked || d.workers == 0 || d.now().Sub(last) < watchesRest {
		return
	}
	d.find(finding.Finding{Kind: "watches_stale",
		What: "workers run, but none has updated the watches for " + watch.Span(watchesRest) +
			" or more: are they of an older version?",
		Fix: []string{"rollcall version   # and restart the workers with it"}})
}
