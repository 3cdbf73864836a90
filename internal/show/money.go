package show

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/language"
	"golang.org/x/text/number"

	"rollcall/store"
)

// Money writes minor units with their currency: $299.00, ¥5,800.
func Money(amount int64, currency string) string {
	return English.Money(store.Money{Amount: amount, Currency: currency})
}

// Monies writes amounts of several currencies, which are never added up.
func Monies(all []store.Money) string { return English.Monies(all) }

// Monies writes amounts as the function Monies does.
func (l *Locale) Monies(all []store.Money) string {
	var texts []string
	for _, m := range all {
		texts = append(texts, l.Money(m))
	}
	return strings.Join(texts, " + ")
}

// Money writes an amount: $299.00, ¥5,800 or 299,00 €. Its spaces do not break.
func (l *Locale) Money(m store.Money) string {
	sign, whole, part := split(m)
	figure := l.printer.Sprint(number.Decimal(whole))
	if digits := m.Digits(); digits > 0 {
		figure += l.point + fmt.Sprintf("%0*d", digits, part)
	}
	return sign + place(l.symbol(m.Currency), figure, l.lang)
}

// Coded writes an amount with its currency's code, as rules name it: 1,099.50 USD or 1.099,50 USD.
func (l *Locale) Coded(m store.Money) string {
	figure, code, _ := strings.Cut(string(AppendMoney(nil, m)), " ")
	return l.Grouped(figure) + " " + code
}

// Ordered sorts amounts as a page shows them: in the order of the currencies given, then
// the largest in minor units first, which says little of their worth but puts yen behind
// as many dollars.
func Ordered(all []store.Money, currencies []string) []store.Money {
	rank := func(m store.Money) int {
		if i := slices.Index(currencies, strings.ToLower(m.Currency)); i >= 0 {
			return i
		}
		return len(currencies)
	}
	return slices.SortedStableFunc(slices.Values(all), func(a, b store.Money) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.Amount, a.Amount))
	})
}

const nbsp = "\u00a0"

// symbolLast are the languages that write a symbol after the figure.
var symbolLast = strings.Fields("bg ca cs da de el es et fi fr hr hu is it lt lv nb no pl pt ro ru sk sl sr sv uk vi")

// place puts a symbol before or behind a figure, as CLDR does for the language.
// x/text has the symbols, but not their places.
func place(symbol, figure string, lang language.Tag) string {
	base, _ := lang.Base()
	region, _ := lang.Region()
	last, _ := utf8.DecodeLastRuneInString(symbol)
	switch where := base.String(); {
	case where == "nl", where == "pt" && region.String() == "BR",
		where == "de" && slices.Contains([]string{"AT", "CH", "LI"}, region.String()):
		return symbol + nbsp + figure
	case where == "es" && region.String() != "ES": // as in the Americas
	case slices.Contains(symbolLast, where):
		return figure + nbsp + symbol
	}
	if unicode.IsLetter(last) {
		return symbol + nbsp + figure
	}
	return symbol + figure
}

// AppendMoney writes an amount for programs: 299.00 USD, 5800 JPY.
func AppendMoney(to []byte, m store.Money) []byte {
	sign, whole, part := split(m)
	to = append(to, sign...)
	to = strconv.AppendUint(to, whole, 10)
	if digits := m.Digits(); digits > 0 {
		text := strconv.FormatUint(part, 10)
		to = append(to, '.')
		to = append(to, "000"[:digits-len(text)]...)
		to = append(to, text...)
	}
	to = append(to, ' ')
	return append(to, strings.ToUpper(m.Currency)...)
}

// split splits an amount at its decimal point.
func split(m store.Money) (sign string, whole, part uint64) {
	amount, per := uint64(m.Amount), uint64(math.Pow10(m.Digits()))
	if m.Amount < 0 {
		sign, amount = "-", -amount // correct for the least int64, too
	}
	return sign, amount / per, amount % per
}
