package operators

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"rollcall/facts"
	"rollcall/internal/show"
	"rollcall/store"
	"rollcall/store/status"
	"rollcall/web/charts"
)

// chartSpan is a time that charts show.
type chartSpan struct {
	Name, Label string
	status.Span
	StepName string // of one step
	time     string // how its beginning is written
	in       string // the span as a part of a sentence
}

// chartSpans are the times that charts show, the first unless another is chosen.
var chartSpans = []chartSpan{
	{"hour", "Last hour", status.Span{Step: time.Minute, Steps: 60}, "minute", "15:04", "in the last hour"},
	{"day", "24 hours", status.Span{Step: 15 * time.Minute, Steps: 96}, "15 minutes", "2 Jan, 15:04", "in 24 hours"},
	{"week", "7 days", status.Span{Step: time.Hour, Steps: 168}, "hour", "Mon 2 Jan, 15:04", "in 7 days"},
}

// spanOf is the span of a name, or else the one at a place.
func spanOf(spans []chartSpan, name string, otherwise int) chartSpan {
	for _, s := range spans {
		if s.Name == name {
			return s
		}
	}
	return spans[otherwise]
}

// historyMaxAge is how old a cached history may be.
const historyMaxAge = 4 * time.Second

// history reads what happened in a span.
func (s *Pages) history(ctx context.Context, span chartSpan) ([]status.Slot, error) {
	return s.Charts.get(span.Name, func() ([]status.Slot, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), statusTimeout) // other requests wait for it too
		defer cancel()
		return status.New(s.Cfg.Store).History(ctx, span.Span, s.Cfg.Now())
	})
}

// chartsOf are the four charts.
func chartsOf(span chartSpan, slots []status.Slot) []charts.Figure {
	all := []charts.Figure{receivedChart(span, slots), tookChart(span, slots), waitingChart(span, slots),
		troubleChart(span, slots)}
	for i := range all {
		all[i].Times = timesOf(span, slots)
	}
	return all
}

// timesOf are the labels below a chart: its beginning, its middle and its end. All are UTC.
func timesOf(span chartSpan, slots []status.Slot) []string {
	format := "15:04"
	if span.Name == "week" {
		format = "Mon 2 Jan"
	}
	return []string{slots[0].At.Format(format) + " UTC", slots[len(slots)/2].At.Format(format), "now"}
}

func receivedChart(span chartSpan, slots []status.Slot) charts.Figure {
	c := charts.Figure{Name: "received", Title: "Webhooks received per " + span.StepName, Head: []string{"Time (UTC)"}}
	total := int64(0)
	for _, source := range store.Sources {
		values, mail := make([]float64, len(slots)), slices.Contains(facts.MailSources, source)
		for i, slot := range slots {
			values[i] = float64(slot.Accepted[source])
			total += slot.Accepted[source]
		}
		if mail && !slices.ContainsFunc(values, func(n float64) bool { return n > 0 }) {
			continue // most sites have one provider of mail, or none
		}
		label := store.SourceLabel(source)
		c.Legend = append(c.Legend, charts.Series{Class: fmt.Sprintf("c%d", len(c.Legend)+1), Label: label, Values: values})
		c.Head = append(c.Head, label)
	}
	c.Drawing = charts.Bars(c.Legend...)
	c.Sum, c.Note = show.Number(total), span.in
	c.Rows = countRows(c.Legend, span, slots)
	return c
}

func troubleChart(span chartSpan, slots []status.Slot) charts.Figure {
	c := charts.Figure{Name: "trouble", Title: "Rejected and failed per " + span.StepName,
		Head: []string{"Time (UTC)", "Webhooks rejected", "Events failed"}}
	rejected, failed := make([]float64, len(slots)), make([]float64, len(slots))
	var r, f int64
	for i, slot := range slots {
		rejected[i], failed[i] = float64(slot.Rejected), float64(slot.Failed)
		r, f = r+slot.Rejected, f+slot.Failed
	}
	c.Legend = []charts.Series{{Class: "bad", Label: "Rejected", Values: rejected},
		{Class: "failed", Label: "Failed", Values: failed}}
	c.Drawing = charts.Bars(c.Legend...)
	c.Sum = show.Number(r + f)
	c.Note = fmt.Sprintf("%s rejected, %s failed %s", show.Number(r), show.Number(f), span.in)
	c.Rows = countRows(c.Legend, span, slots)
	return c
}

// countRows are the table of a chart of counts.
func countRows(legend []charts.Series, span chartSpan, slots []status.Slot) (rows [][]string) {
	for i, slot := range slots {
		row, sum := []string{slot.At.Format(span.time)}, 0.0
		for _, s := range legend {
			row = append(row, show.Number(int64(s.Values[i])))
			sum += s.Values[i]
		}
		if sum > 0 {
			rows = append(rows, row)
		}
	}
	return rows
}

func waitingChart(span chartSpan, slots []status.Slot) charts.Figure {
	c := charts.Figure{Name: "waiting", Title: "Events waiting to be processed", Head: []string{"Time (UTC)",
		"Most at once"},
		Sum: "–", Empty: true}
	values := make([]float64, len(slots))
	peak, when := int64(0), time.Time{}
	for i, slot := range slots {
		values[i] = math.NaN()
		if slot.Waiting == nil {
			continue
		}
		values[i], c.Empty, c.Sum = float64(*slot.Waiting), false, show.Number(*slot.Waiting)
		if *slot.Waiting > peak {
			peak, when = *slot.Waiting, slot.At
		}
		c.Rows = append(c.Rows, []string{slot.At.Format(span.time), show.Number(*slot.Waiting)})
	}
	if peak > 0 {
		c.Note = fmt.Sprintf("peak %s at %s", show.Number(peak), when.Format(span.time))
	}
	c.Drawing = charts.Area(charts.Series{Class: "c3", Values: values})
	return c
}

func tookChart(span chartSpan, slots []status.Slot) charts.Figure {
	c := charts.Figure{Name: "took", Title: "Time from webhook to customer list",
		Head: []string{"Time (UTC)", "p50: half within", "p95: most within", "Events"}}
	half, most := make([]float64, len(slots)), make([]float64, len(slots))
	all := status.Took{}
	for i, slot := range slots {
		half[i], most[i] = math.NaN(), math.NaN()
		for bucket, n := range slot.Took {
			all[bucket] += n
		}
		p50, timed := slot.Took.Percentile(.5)
		if !timed {
			continue
		}
		p95, _ := slot.Took.Percentile(.95)
		half[i], most[i] = inMilliseconds(p50), inMilliseconds(p95)
		c.Rows = append(c.Rows, []string{slot.At.Format(span.time), show.Lasted(p50), show.Lasted(p95),
			show.Number(slot.Applied)})
	}
	c.Legend = []charts.Series{{Class: "c4", Label: "p50", Values: half}, {Class: "c5", Label: "p95", Values: most}}
	c.Drawing = charts.Durations(c.Legend...)
	p50, timed := all.Percentile(.5)
	p95, _ := all.Percentile(.95)
	if c.Empty = !timed; timed {
		c.Sum, c.Note = show.Lasted(p50), "p95 "+show.Lasted(p95)
	}
	return c
}

func inMilliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
