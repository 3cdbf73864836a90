package show

import (
	"context"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// Locale writes numbers, money and percentages as the people of one language and region
// do. Words stay English. Safe for concurrent use.
type Locale struct {
	lang    language.Tag
	printer *message.Printer
	point   string // between the whole and its parts
	grouped *regexp.Regexp
	symbols sync.Map // of currencies, by code as written
}

// English is the locale of whatever is not written for a browser, and of browsers that
// ask for none that is known.
var English = newLocale("en-US")

// known are the locales that pages are written in. All of them have Latin digits and
// are written from left to right, as the English words around the numbers.
var known = sync.OnceValues(func() ([]*Locale, language.Matcher) {
	locales := []*Locale{English}
	for _, name := range strings.Fields("en-GB en-AU en-CA en-IE en-IN en-NZ en-ZA bg ca cs da de de-AT de-CH el es " +
		"es-MX et fi fr fr-CA fr-CH hi hr hu id it it-CH ja ko lt lv nb nl pl pt-BR pt-PT ro ru sk sl sv th tr uk vi " +
		"zh-Hans zh-Hant") {
		locales = append(locales, newLocale(name))
	}
	var tags []language.Tag
	for _, l := range locales {
		tags = append(tags, l.lang)
	}
	return locales, language.NewMatcher(tags)
})

func newLocale(name string) *Locale {
	lang := language.MustParse(name)
	l := &Locale{lang: lang, printer: message.NewPrinter(lang)}
	l.point = strings.Trim(l.printer.Sprint(number.Decimal(0.5)), "05")
	l.grouped = groupedNumbers(l.point, strings.Trim(l.printer.Sprint(number.Decimal(10_000_000)), "01"))
	return l
}

// groupedNumbers matches numbers whose digits are grouped by marks, as people type them. One point
// alone may stand before parts: it groups only beside another mark.
func groupedNumbers(point, marks string) *regexp.Regexp {
	mark, _ := utf8.DecodeRuneInString(marks)
	one := regexp.QuoteMeta(string(mark))
	switch {
	case unicode.IsSpace(mark):
		one = `[\s\x{a0}\x{202f}]`
	case mark == '’':
		one = `['’]`
	}
	parts := regexp.QuoteMeta(point) + `\d+`
	if mark == '.' {
		return regexp.MustCompile(`^\d{1,3}(` + one + `\d{3})+` + parts + `$|^\d{1,3}(` + one + `\d{3}){2,}$`)
	}
	return regexp.MustCompile(`^\d{1,3}(` + one + `\d{2,3})*` + one + `\d{3}(` + parts + `)?$`)
}

// longestAccept is how much of an Accept-Language header is read. Browsers send less.
const longestAccept = 200

// LocaleFor is the known locale that a browser with this Accept-Language likes best.
func LocaleFor(accept string) *Locale {
	if len(accept) > longestAccept {
		accept = accept[:strings.LastIndexByte(accept[:longestAccept], ',')+1]
	}
	wanted, _, err := language.ParseAcceptLanguage(accept)
	locales, matcher := known()
	_, i, sure := matcher.Match(wanted...)
	if err != nil || sure == language.No {
		return English
	}
	return locales[i]
}

// String is the locale's name: en-US.
func (l *Locale) String() string { return l.lang.String() }

// Number groups a number's digits: 1,234.
func (l *Locale) Number(n int64) string { return l.printer.Sprint(number.Decimal(n)) }

// Plural is "1 event", "1,234 events".
func (l *Locale) Plural(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return l.Number(n) + " " + what
}

// Percent writes whole percents, of 100, rounded down: 45%.
func (l *Locale) Percent(of100 float64) string {
	return l.printer.Sprint(number.Percent(math.Floor(of100) / 100))
}

// Percentage writes a percentage that is given as a number with a point: 99.5 is 99.5% or 99,5 %.
func (l *Locale) Percentage(plain string) string {
	of100, err := strconv.ParseFloat(plain, 64)
	if err != nil {
		return plain + "%"
	}
	return l.printer.Sprint(number.Percent(of100/100, number.MaxFractionDigits(6)))
}

// Decimal writes a number that is given with a point, as people type it: 1000.5 or 1000,5.
func (l *Locale) Decimal(plain string) string { return strings.Replace(plain, ".", l.point, 1) }

// Grouped writes a number that is given with a point, as people read it: 1,000.50 or 1.000,50.
func (l *Locale) Grouped(plain string) string {
	whole, parts, cut := strings.Cut(plain, ".")
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return plain
	}
	if cut {
		parts = l.point + parts
	}
	return l.Number(n) + parts
}

// Plain is a number that a person typed, with a point and without groups. A point stays one.
func (l *Locale) Plain(typed string) string {
	plain := strings.Replace(typed, l.point, ".", 1)
	if !l.grouped.MatchString(typed) {
		return plain
	}
	whole, parts, cut := strings.Cut(typed, l.point)
	digits := strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, whole)
	if cut {
		return digits + "." + parts
	}
	return digits
}

// key is the context key of InLocale.
type key struct{}

// InLocale is a context of work for a reader of this locale.
func InLocale(ctx context.Context, l *Locale) context.Context {
	return context.WithValue(ctx, key{}, l)
}

// zoneKey is the context key of InZone.
type zoneKey struct{}

// InZone is a context of work for a reader whose own clock is in this zone.
func InZone(ctx context.Context, zone *time.Location) context.Context {
	return context.WithValue(ctx, zoneKey{}, zone)
}

// ZoneIn is the zone of the reader who the work is for; nil: it is for no page.
func ZoneIn(ctx context.Context) *time.Location {
	zone, _ := ctx.Value(zoneKey{}).(*time.Location)
	return zone
}

// LocaleIn is the locale of the reader who the work is for; English if nothing else is known.
func LocaleIn(ctx context.Context) *Locale {
	if l, ok := ctx.Value(key{}).(*Locale); ok {
		return l
	}
	return English
}

// symbol is how the locale writes a currency: $, US$ or USD.
func (l *Locale) symbol(code string) string {
	if known, ok := l.symbols.Load(code); ok {
		return known.(string)
	}
	symbol := strings.ToUpper(code)
	unit, err := currency.ParseISO(code)
	if err != nil {
		return symbol // there is no end of wrong codes: they are not kept
	}
	symbol = strings.ReplaceAll(l.printer.Sprint(currency.Symbol(unit)), "￥", "¥") // few fonts have the wide one
	l.symbols.Store(code, symbol)
	return symbol
}
