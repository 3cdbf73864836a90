package value

import (
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
)

// near fails unless got is want, to the digits that want is printed with.
func near(t *testing.T, what string, got float64, want string) {
	t.Helper()
	w, err := strconv.ParseFloat(want, 64)
	_, decimals, _ := strings.Cut(want, ".")
	if err != nil || math.Abs(got-w) > .5000001*math.Pow10(-len(decimals)) {
		t.Errorf("%s is %v, published is %s", what, got, want)
	}
}

// Wilson's interval as R. G. Newcombe has it (1998, Statistics in Medicine 17, table I, method 3).
func TestProportion(t *testing.T) {
	for _, c := range []struct {
		did, of   int64
		low, high string
	}{
		{81, 263, "0.2553", "0.3662"}, {15, 148, "0.0624", "0.1605"}, {0, 20, "0.0000", "0.1611"},
		{1, 29, "0.0061", "0.1718"},
	} {
		p := Proportion(c.did, c.of, "")
		near(t, "low", p.Low, c.low)
		near(t, "high", p.High, c.high)
	}
	if p := Proportion(0, 0, "no one was there"); p.Value != nil || p.Why != "no one was there" || p.High != 0 {
		t.Errorf("of no one: %+v", p)
	}
}

// Remission of 21 patients with 6-MP in weeks (Freireich and others, 1963); + is not ended.
const freireich = "6 6 6 7 10 13 16 22 23 6+ 9+ 10+ 11+ 17+ 19+ 20+ 25+ 32+ 32+ 34+ 35+"

func TestFreireich(t *testing.T) {
	var lives []Lives
	for word := range strings.FieldsSeq(freireich) {
		weeks, on := strings.CutSuffix(word, "+")
		time, _ := strconv.ParseFloat(weeks, 64)
		lives = append(lives, Lives{time, !on, 1})
	}
	c := Survive(lives)
	for time, want := range map[float64]string{
		6: "0.8571", 7: "0.8067", 10: "0.7529", 13: "0.6902", 16: "0.6275", 22: "0.5378", 23: "0.4482", 5: "1", 35: "0.4482",
	} {
		near(t, "survival", c.At(time), want)
	}
	near(t, "median", *c.Median().Value, "23")
	// Greenwood's sum at 10 weeks by hand, on the scale log(-log S).
	sum := 3./(21*18) + 1./(17*16) + 1./(15*14)
	reach := 1.959964 * math.Sqrt(sum) / -math.Log(c.At(10))
	if s := c.Steps[2]; math.Abs(math.Log(-math.Log(s.Low))-math.Log(-math.Log(s.Survival))-reach) > 1e-6 ||
		math.Abs(math.Log(-math.Log(s.High))-math.Log(-math.Log(s.Survival))+reach) > 1e-6 {
		t.Errorf("interval at 10 weeks: %+v", s)
	}
}

func TestNoMedian(t *testing.T) {
	for _, lives := range [][]Lives{nil, {{5, false, 3}}, {{5, true, 1}, {9, false, 3}}} {
		if m := Survive(lives).Median(); m.Value != nil || m.Why == "" {
			t.Errorf("%v: %+v", lives, m)
		}
	}
}

// A thinned curve is the same for the eye, exact where months end, and forgets no one.
func TestThin(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 8))
	for _, people := range []int{0, 1, 2, 40, 5000} {
		var lives []Lives
		for range people {
			lives = append(lives, Lives{math.Floor(r.ExpFloat64() * 300), r.IntN(3) > 0, 1 + r.Int64N(20)})
		}
		whole := Survive(lives)
		thin := whole.Thin()
		var ended, kept int64
		for _, s := range whole.Steps {
			ended += s.Ended
		}
		for _, s := range thin.Steps {
			kept += s.Ended
		}
		if ended != kept || thin.N != whole.N || thin.Until != whole.Until || people == 5000 && len(thin.Steps) > 300 {
			t.Errorf("%d people: %d of %d ended, %d steps of %d", people, kept, ended, len(thin.Steps), len(whole.Steps))
		}
		for day := 0.; day <= whole.Until; day++ {
			if off := math.Abs(thin.At(day) - whole.At(day)); off >= .005 || day == whole.Until && off > 0 {
				t.Errorf("%d people, day %v: off by %v", people, day, off)
			}
		}
		for month := 0.; month*Month <= whole.Until; month++ {
			if thin.At(month*Month) != whole.At(month*Month) {
				t.Errorf("%d people, month %v: %v, not %v", people, month, thin.At(month*Month), whole.At(month*Month))
			}
		}
	}
}

// cdnow reads the published customers.
func cdnow(t *testing.T) (buyers []Buyers, spenders []Spenders) {
	t.Helper()
	text, err := os.ReadFile("testdata/cdnow.txt")
	if err != nil {
		t.Fatal(err)
	}
	number := func(s string) float64 {
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	watched, before, first := 0.0, 0, 1
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "# end ") {
			continue
		}
		head, people, _ := strings.Cut(line, ":")
		words := strings.Fields(head)
		if next := int(number(words[len(words)-1])); next > first { // of those before, the others bought once
			buyers = append(buyers, Buyers{Watched: watched, N: int64(next - first - before)})
			first, before = next, 0
		}
		if people == "" {
			break
		}
		watched = number(words[0])
		for one := range strings.SplitSeq(people, ";") {
			before++
			f := strings.Fields(one)
			x := int64(number(f[0]))
			buyers = append(buyers, Buyers{x, number(f[1]), watched, 1})
			spenders = append(spenders, Spenders{x, number(f[2]), 1})
		}
	}
	return buyers, spenders
}

// Fader, Hardie and Lee (2005), table 2 and brucehardie.com/notes/004.
func TestCDNOW(t *testing.T) {
	buyers, _ := cdnow(t)
	all := int64(0)
	for _, p := range buyers {
		all += p.N
	}
	if all != 2357 {
		t.Fatalf("%d customers", all)
	}
	m, err := FitAgain(buyers)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "r", m.R, "0.243")
	near(t, "alpha", m.Alpha, "4.414")
	near(t, "a", m.A, "0.793")
	near(t, "b", m.B, "2.426")
	near(t, "log-likelihood", m.Likelihood, "-9582.4")
	one := Buyers{2, 30.43, 38.86, 1}
	near(t, "purchases in 39 weeks", m.Next(one, 39), "1.226")
	near(t, "alive", m.Alive(one), "0.7266")
	near(t, "none in 39 weeks", Again{R: .243, Alpha: 4.414}.Never(39), "0.5737864")
	for weeks, want := range map[float64]string{
		0.1429: "0.0078", 1: "0.0532", 3: "0.1506", 31.8571: "1.0405", 32: "1.0437", 78: "1.858",
	} {
		near(t, "expected", m.Expected(weeks), want)
	}
	if p := m.Alive(Buyers{0, 0, 1, 1}); p != 1 {
		t.Errorf("bought once: alive %v", p)
	}
}

// If everyone leaves with the same chance p after a purchase, a buyer buys (1 - (α / (α + p t))^r) / p times again.
func TestSameChanceOfLeaving(t *testing.T) {
	const r, alpha, p, weeks = .43, 5.7, .12, 52
	want := (1 - math.Pow(alpha/(alpha+p*weeks), r)) / p
	if got := (Again{R: r, Alpha: alpha, A: 1000 * p, B: 1000 * (1 - p)}).Expected(weeks); math.Abs(got/want-1) > .01 {
		t.Errorf("%v, want %v", got, want)
	}
}

// Very many groups are put together, and say about the same.
func TestManyGroups(t *testing.T) {
	buyers, spenders := cdnow(t)
	var many []Buyers
	var means []Spenders
	for range 1 + fine/len(buyers) {
		many = append(many, buyers...)
	}
	for range 1 + fine/len(spenders) {
		means = append(means, spenders...)
	}
	few, err := FitAgain(many)
	amounts, wrong := FitAmounts(means)
	if err != nil || wrong != nil {
		t.Fatal(err, wrong)
	}
	one := Buyers{2, 30.43, 38.86, 1}
	if len(coarse(many)) > len(buyers) || math.Abs(few.Next(one, 39)/1.226-1) > .02 ||
		math.Abs(amounts.Expected(2, 22.35)/24.65-1) > .02 {
		t.Errorf("%d groups: %+v %+v", len(coarse(many)), few, amounts)
	}
}

// Fader and Hardie (2013), brucehardie.com/notes/025.
func TestCDNOWAmounts(t *testing.T) {
	_, spenders := cdnow(t)
	if len(spenders) != 946 {
		t.Fatalf("%d bought again", len(spenders))
	}
	m, err := FitAmounts(spenders)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "p", m.P, "6.25")
	near(t, "q", m.Q, "3.74")
	near(t, "v", m.V, "15.45")
	near(t, "log-likelihood", m.Likelihood, "-4055.92")
	for i, want := range []string{"24.65", "18.91", "35.17"} {
		x, mean := []int64{2, 1, 0}[i], []float64{22.35, 11.77, 0}[i]
		if w, _ := strconv.ParseFloat(want, 64); math.Abs(m.Expected(x, mean)-w) > .02 {
			t.Errorf("average of customer %d: %v, published is %s", i+1, m.Expected(x, mean), want)
		}
	}
}

// Histories that no model describes give no model, and one that is too short says what it lacks.
func TestNoForecast(t *testing.T) {
	buyers, spenders := cdnow(t)
	for want, h := range map[string]History{
		"0 of 200 buyers":    {},
		"0 of 50 who bought": {Now: []Buyers{{0, 0, 30, 500}}, Weeks: 30},
		"25 of 26 weeks":     {Now: buyers, Spenders: spenders, Weeks: 25.9},
		"can be checked":     {Now: buyers, Before: buyers, Spenders: spenders, Weeks: 39},
		"missed by":          {Now: buyers, Before: buyers, Spenders: spenders, Weeks: 39, Later: 10, LaterWeeks: 8},
		"no model fits":      {Now: []Buyers{{9, 0, 0, 900}}, Spenders: []Spenders{{1, 5, 60}}, Weeks: 39},
	} {
		if f := Predict(h); !strings.Contains(f.Why, want) || f.Again != nil || f.Amounts != nil {
			t.Errorf("%q: %+v", want, f)
		}
	}
	m, _ := FitAgain(buyers)
	later := int64(m.Predicted(buyers, 8))
	f := Predict(History{Now: buyers, Before: buyers, Spenders: spenders, Weeks: 39, Later: later, LaterWeeks: 8})
	if f.Why != "" || math.Abs(*f.Miss.Value) > .01 {
		t.Errorf("as predicted: %+v", f)
	}
	person := Buyers{2, 30.43, 38.86, 1}
	o := f.Outlook(person)
	spends := o.Spends + o.More*2*22.35
	if math.Abs(o.Alive-.7266) > .001 || spends < 24.65*1.226 || spends > 24.65*1.8 ||
		math.Abs(spends/(f.Again.Next(person, Year)*f.Amounts.Expected(2, 22.35))-1) > 1e-9 {
		t.Errorf("outlook: %+v, %v", o, spends)
	}
}

// A business of 30 new subscribers a month who pay $20 twice on average: $40 each. Where many of them leave within
// days, the value by survival is still within a tenth of that, and ARPU / churn is not: churn never sees them.
func TestSurvivalBeatsChurn(t *testing.T) {
	memoryless := func(r *rand.Rand) float64 { return r.ExpFloat64() / math.Ln2 }
	manyShort := func(r *rand.Rand) float64 {
		if r.Float64() < .6 {
			return r.ExpFloat64() / 10
		}
		return r.ExpFloat64() / math.Log(1.4)
	}
	for _, c := range []struct {
		stays  func(*rand.Rand) float64
		misled bool
	}{{memoryless, false}, {manyShort, true}} {
		truth, survival, simple := simulate(c.stays)
		if math.Abs(truth/40-1) > .05 || math.Abs(survival/truth-1) > .1 || math.Abs(simple/truth-1) > .1 != c.misled {
			t.Errorf("the truth is $%.2f, survival says $%.2f, ARPU / churn $%.2f", truth, survival, simple)
		}
	}
}

// simulate lets subscribers come for 36 months. Each pays $20 at the beginning of each month of theirs. It returns
// what they pay in all, and what is said of it after these months.
func simulate(stays func(*rand.Rand) float64) (truth, survival, simple float64) {
	const months, each, price = 36, 30, 20.
	r := rand.New(rand.NewPCG(7, 7))
	var lives []Lives
	var active, lost int64
	for i := range months * each {
		from, life := float64(i/each)+r.Float64(), stays(r)
		truth += price * math.Ceil(life) / (months * each)
		watched := min(life, months-from)
		lives = append(lives, Lives{watched * Month, life == watched, 1})
		for m := math.Ceil(from); m < months && from+life > m; m++ { // there when month m begins
			if active++; from+life <= m+1 {
				lost++
			}
		}
	}
	return truth, *Subscriber(Survive(lives), Known(price)).Value.Value,
		*Simple(Known(price), Proportion(lost, active, "")).Value
}

// What cannot be said is said with a reason, never as 0.
func TestNothingToSay(t *testing.T) {
	some := Survive([]Lives{{100, false, 9}})
	for why, n := range map[string]Number{
		"no one has subscribed": Subscriber(Curve{}, Known(5)).Value,
		"nothing was paid":      Subscriber(some, None("nothing was paid")).Value,
		"no one has left":       Simple(Known(5), Proportion(0, 200, "")),
		"19 of 20":              Simple(Known(5), Proportion(19, 200, "")),
		"99 of 100":             Simple(Known(5), Proportion(20, 99, "")),
		"cannot be computed":    Known(math.Inf(1)),
	} {
		if n.Value != nil || !strings.Contains(n.Why, why) {
			t.Errorf("%s: %+v", why, n)
		}
	}
	if l := Subscriber(some, Known(5)); *l.Value.Value != 20 || l.Months != 4 {
		t.Errorf("no one left, watched for 100 days: %+v", l)
	}
}
