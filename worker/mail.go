package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	netmail "net/mail"
	"os"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"rollcall/mail"
	storemail "rollcall/store/mail"
)

// Sender gives mails to a provider; *mail.SMTP, *mail.Resend and mail.Keep implement it. It must be
// safe for concurrent use.
type Sender interface {
	Name() string
	Send(ctx context.Context, m mail.Message) mail.Outcome
}

// Mail is how a worker sends mail.
type Mail struct {
	Sender  Sender
	From    netmail.Address // of the platform; a store's name stands before its address
	URL     string          // of the site, to which links to unsubscribe lead
	Allowed mail.Recipients // nil: all
	Rate    float64         // most mails a second; 0: any number
	Skips   storemail.Skips // what campaigns do not want to be sent
}

// MailLines is the number of mails of a lane that are sent at once, and MostLines where they go out quickly: so many
// may be in doubt if a worker is killed, and so many connections the server has to take.
const (
	MailLines = 8
	MostLines = 2 * MailLines
)

const (
	// mailEvery is how long a due mail may wait for an idle worker.
	mailEvery = 500 * time.Millisecond
	// turnFor is how long a store claims mails before another's turn. What a slow provider has not taken in twice that
	// time waits for the next.
	turnFor = 3 * time.Second
	// firstClaim is how many mails a turn claims at first. It doubles up to mostClaimed, as long as they are on their way
	// in quickly: what is claimed is decided about, and shall not wait long.
	firstClaim, mostClaimed = 100, 800 // the second is quick, as nothing waits for the first
	quickly                 = 250 * time.Millisecond
	// limitRest is how long a lane rests whose limit is reached.
	limitRest = 5 * time.Second
	// renewEvery is how often a lane is renewed, well within its lease.
	renewEvery = 4 * time.Second
	// outcomeFor is how long a worker tries to write what became of a mail, while Postgres is down.
	outcomeFor = 40 * time.Second
)

// mailer is what sends the mails of this worker.
func (w *Worker) mailer() *mailer {
	host, _ := os.Hostname()
	name := fmt.Sprintf("%s:%d:%s", host, os.Getpid(), rand.Text()[:8]) // containers may have the first two alike
	m := &mailer{Worker: w, Mail: *w.cfg.Mail, name: name, lines: MostLines,
		mails: storemail.New(w.cfg.Store, w.cfg.Mail.Skips), links: storemail.NewRecipients(w.cfg.Store),
		limit: rate.NewLimiter(rate.Inf, 1)}
	if m.Rate > 0 {
		m.limit.SetLimit(rate.Limit(m.Rate))
	}
	return m
}

// mailer sends the mails of one store at a time.
type mailer struct {
	*Worker
	Mail
	mails *storemail.Mails
	links *storemail.Recipients
	name  string
	limit *rate.Limiter
	lines int // mails that are sent at once
	keys  mail.Keys
}

// turn sends mails of the store whose turn it is, for a while.
func (m *mailer) turn(ctx context.Context) (worked bool, err error) {
	now, err := m.now(ctx)
	if err != nil {
		return false, err
	}
	lane, ok, err := m.mails.Take(ctx, m.name, now)
	if err != nil || !ok {
		return false, err
	}
	l := &mailLane{mailer: m, Turn: lane, began: time.Now(), now: now, bodies: map[bodyKey]*mail.Body{},
		frames: map[mail.Around]*mail.Frame{}, leads: map[string]int64{}}
	err = l.run(ctx)
	return l.worked, err
}

// mailLane is the turn of a store.
type mailLane struct {
	*mailer
	storemail.Turn
	began  time.Time
	now    time.Time // when it began, by the clock of Postgres
	store  storemail.Settings
	bodies map[bodyKey]*mail.Body
	frames map[mail.Around]*mail.Frame
	leads  map[string]int64 // ids of pages of the store to which mails lead
	worked bool             // it decided about mails

	queue chan storemail.Claimed // to be sent
	moves chan *lineMove         // of lines

	mu  sync.Mutex
	end storemail.End
	err error // of the database
}

// lineMove is a move that a line waits for.
type lineMove struct {
	storemail.Move
	send bool // the mail may go
	err  error
	done chan struct{}
}

// at is the time by the clock of Postgres, which all workers share.
func (l *mailLane) at() time.Time { return l.now.Add(time.Since(l.began)) }

// run claims and sends until nothing is due, the turn is over, or something is in the way.
func (l *mailLane) run(ctx context.Context) (err error) {
	held, letGo := context.WithCancel(ctx)
	defer letGo()
	go l.renewUntil(held, letGo)
	if l.store, _, err = l.mails.Settings(ctx, l.Turn.Store); err == nil {
		l.keys, err = l.links.Keys(ctx)
	}
	if err == nil {
		err = l.send(held)
	}
	return errors.Join(err, l.err, l.finish())
}

// send claims mails, while those before are sent over several lines.
func (l *mailLane) send(ctx context.Context) error {
	l.queue, l.moves = make(chan storemail.Claimed), make(chan *lineMove)
	var lines, writers sync.WaitGroup
	start := func(first, end int) {
		for nth := first; nth < end; nth++ {
			lines.Go(func() { l.line(ctx, nth) })
		}
	}
	start(0, min(l.lines, MailLines))
	for range 2 {
		writers.Go(func() { l.move(ctx) })
	}
	limited, err := l.claim(ctx, func() { start(MailLines, l.lines) })
	close(l.queue)
	lines.Wait()
	close(l.moves)
	writers.Wait()
	if limited {
		l.rest(limitRest)
	}
	return err
}

// claim claims mails until the turn is over, the next while those before are sent. What is claimed and not begun is due
// again when it ends. hurry is called when the first mails went out quickly.
func (l *mailLane) claim(ctx context.Context, hurry func()) (limited bool, err error) {
	batches := make(chan []storemail.Claimed)
	var feeder sync.WaitGroup
	feeder.Go(func() {
		for batch := range batches {
			for _, c := range batch {
				l.queue <- c
			}
		}
	})
	defer feeder.Wait()
	defer close(batches)
	for most := firstClaim; ctx.Err() == nil && !l.blocked() && time.Since(l.began) < turnFor; {
		b, err := l.mails.Claim(ctx, l.Turn, l.at(), most)
		if err != nil || b.Decided == 0 {
			return b.Limited, err
		}
		l.worked = true
		waits := time.Now()
		if batches <- b.Mails; time.Since(waits) < quickly && most < mostClaimed {
			if most = 2 * most; most == 4*firstClaim {
				hurry()
			}
		}
	}
	return false, nil
}

// move makes the moves of lines, all that wait at once. While some are on their way to the disk, the next ones gather.
func (l *mailLane) move(ctx context.Context) {
	for first := range l.moves {
		some, moves := []*lineMove{first}, []storemail.Move{first.Move}
		for more := true; more; {
			select {
			case m, ok := <-l.moves:
				if more = ok; ok {
					some, moves = append(some, m), append(moves, m.Move)
				}
			default:
				more = false
			}
		}
		send, err := l.mails.Next(ctx, l.Turn, moves, l.Sender.Name())
		for _, m := range some {
			m.send, m.err = send[m.Begin.ID], err
			close(m.done)
		}
	}
}

// renewUntil keeps the lane; if that fails the turn ends.
func (l *mailLane) renewUntil(ctx context.Context, letGo func()) {
	tick := time.NewTicker(renewEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if l.mails.Renew(ctx, l.Turn) != nil {
				letGo()
			}
		}
	}
}

// finish ends the turn, and pauses the store if too much came back.
func (l *mailLane) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
	defer cancel()
	if l.end.Trouble != "" && l.lines >= MailLines {
		l.lines = MostLines // it was not that they were too many
	}
	var brake error
	if l.end.Sent || l.end.Refused {
		brake = l.mails.Brake(ctx, l.Turn.Store)
	}
	return errors.Join(brake, l.mails.Release(ctx, l.Turn, l.end))
}

// line sends one mail after the other. What became of one is written when the next begins. One of those that were added
// ends if it has trouble: the server may take no more connections than it has.
func (l *mailLane) line(ctx context.Context, nth int) {
	var done *storemail.Done
	for c := range l.queue {
		if ctx.Err() != nil || l.blocked() {
			continue // the queue is emptied
		}
		message, reason := l.message(ctx, c)
		if reason != nil {
			l.write(done)
			done = &storemail.Done{Mail: c, Provider: l.Sender.Name(), At: l.at(), Outcome: *reason}
			continue
		}
		if l.limit.Wait(ctx) != nil {
			continue
		}
		next := &lineMove{Move: storemail.Move{Done: done, Begin: &c}, done: make(chan struct{})}
		l.moves <- next
		<-next.done
		if next.err != nil {
			l.write(done) // and let the turn end
			l.fail(next.err)
			done = nil
			continue
		}
		if done = nil; next.send {
			o := l.Sender.Send(ctx, message)
			done = &storemail.Done{Mail: c, Provider: l.Sender.Name(), At: l.at(), Outcome: o}
			if o.Trouble && nth >= MailLines {
				l.fewer(nth)
				break
			}
			l.note(o)
		}
	}
	l.write(done)
}

// write writes what became of a mail, even while this worker stops, or Postgres is down for a while:
// else it would not be known whether the mail was sent.
func (l *mailLane) write(done *storemail.Done) {
	if done == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), outcomeFor)
	defer cancel()
	for {
		_, err := l.mails.Next(ctx, l.Turn, []storemail.Move{{Done: done}}, "")
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			l.fail(err)
			return
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// fewer has the turns to come begin no line like the nth.
func (l *mailLane) fewer(nth int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = min(l.lines, nth)
}

// note keeps what an outcome says of the mails to come.
func (l *mailLane) note(o mail.Outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end.Sent = l.end.Sent || o.Status == mail.Sent
	l.end.Refused = l.end.Refused || o.Status == mail.Failed
	l.end.Rest = max(l.end.Rest, o.Wait)
	if o.Trouble {
		l.end.Trouble = o.Answer
	}
	l.metrics.mails.WithLabelValues(o.Status).Inc()
}

func (l *mailLane) rest(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end.Rest = max(l.end.Rest, d)
}

func (l *mailLane) fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.err = errors.Join(l.err, err)
}

// blocked tells whether no more mails are to be begun in this turn.
func (l *mailLane) blocked() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err != nil || l.end.Trouble != "" || l.end.Rest > 0 || time.Since(l.began) > 2*turnFor
}
