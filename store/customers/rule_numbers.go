package customers

import (
	"strconv"
	"strings"

	"rollcall/internal/show"
	"rollcall/store/pg"
)

// isNumber tells whether values of a kind are numbers.
func isNumber(k *pg.ParamKind) bool { return k == Amount || k == Percent || k == Count }

// Shown is a value of a kind as readers of a locale see it in a sentence. A number is grouped, and a
// percentage has its sign.
func Shown(k *pg.ParamKind, value string, in *show.Locale) string {
	switch {
	case k == Percent:
		return in.Percentage(value)
	case isNumber(k):
		return in.Grouped(value)
	case k == Country:
		return CountryName(value)
	}
	return value
}

// Filled is a value of a kind as readers of a locale see it in a field.
func Filled(k *pg.ParamKind, value string, in *show.Locale) string {
	switch {
	case isNumber(k):
		return in.Decimal(value)
	case k == Country: // one on each line
		codes := pg.Lines(value)
		for i, code := range codes {
			codes[i] = CountryName(code)
		}
		return strings.Join(codes, "\n")
	}
	return value
}

// Typed is a value of a kind that a reader of a locale typed, as rules have it.
func Typed(k *pg.ParamKind, value string, in *show.Locale) string {
	switch {
	case isNumber(k):
		return in.Plain(value)
	case k == Currency:
		return strings.ToLower(value) // pages write it in capitals
	case k == Country:
		return countryCalled(value)
	}
	return value
}

// Refusal is why a value of a kind was refused, in the words of pages: with labels in place of the values of choices,
// and numbers as the reader writes them.
func Refusal(k *pg.ParamKind, reason string, choices []pg.Choice, in *show.Locale) string {
	if given, why, quoted := strings.Cut(reason, `" `); quoted && isNumber(k) {
		reason = in.Decimal(given) + `" ` + why
	}
	if choices == nil {
		return strings.NewReplacer("99.50", in.Decimal("99.50"), byCode, byName).Replace(reason)
	}
	var labels []string
	for _, c := range choices {
		if c.Value != "" {
			labels = append(labels, c.Label)
		}
	}
	return "choose " + list(labels, "or")
}

// tenthOf is the tenth that a limit is in; of none it is otherwise.
func tenthOf(limit []string, otherwise int) int {
	if len(limit) == 0 {
		return otherwise
	}
	percent, _ := strconv.ParseFloat(limit[0], 64) // was checked
	return int(percent / 10)
}
