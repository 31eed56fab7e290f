"""The columns of the wide profile: what each data set holds, in the order of its files."""

import re

import pyarrow as pa

_TYPES = {
    "time": pa.timestamp("ns", tz="UTC"),
    "date": pa.date32(),
    "text": pa.string(),
    "flag": pa.bool_(),
    "real": pa.float64(),
    "long": pa.int64(),
    "int": pa.int32(),
    "tiny": pa.int8(),
}


def _schema(*groups: str) -> pa.Schema:
    """Return the schema of groups such as ``"text: symbol, isin"``."""
    fields = []
    for group in groups:
        kind, _, names = group.partition(":")
        fields += [(name, _TYPES[kind]) for name in re.findall(r"\w+", names)]
    return pa.schema(fields)


QUOTES = _schema(
    "text: symbol",
    "time: ts, contributed_ts, processed_ts, sent_ts",
    "text: action",
    "flag: firm",
    "tiny: level, tier",
    "text: quote_type, side",
    "real: price, size, yield_to_maturity",
    "text: dealer",
    "long: quote_id, sequence",
    "text: isin, cusip, venue, currency",
    "date: settlement_date",
)

SECURITIES = _schema(
    # What the narrow master holds, by the same names.
    "text: symbol, name, cusip, isin, segment, issuer, sector, currency",
    "real: coupon",
    "date: maturity, issue_date",
    "text: rating, country, exchange, status",
    "long: min_denomination",
    # Identifiers and issuer.
    "text: figi, sedol, lei, ticker, issuer_type, industry_group, region, state, parent_lei, lead_manager, trustee",
    # Three agencies.
    "text: rating_sp, rating_moodys, rating_fitch",
    "date: rating_sp_date, rating_moodys_date, rating_fitch_date",
    "text: rating_outlook",
    "tiny: rating_notch",
    "flag: rating_watch, investment_grade",
    # Coupon and schedule.
    "text: coupon_type",
    "tiny: coupon_frequency",
    "text: day_count, business_day_convention, calendar",
    "date: announcement_date, dated_date, first_coupon_date, previous_coupon_date, next_coupon_date",
    "int: accrued_days, settlement_days",
    # Flags.
    "flag: callable, make_whole, puttable, sinkable, convertible, rule_144a, regulation_s, secured, green",
    "flag: bank_qualified, federally_taxable, in_index, eligible_as_collateral",
    "text: seniority, maturity_type, governing_law, form",
    # Call, put and sink data: none where the bond has no such right.
    "text: call_type",
    "date: first_call_date, next_call_date",
    "real: next_call_price, make_whole_spread",
    "int: call_notice_days",
    "date: put_date",
    "real: put_price",
    "text: sink_type",
    "date: next_sink_date",
    "real: next_sink_amount",
    "int: sink_payments_left",
    # Amounts.
    "real: amount_issued, amount_outstanding, min_increment, par_value, issue_price, issue_yield, redemption_price",
    # What an evaluator makes of it on the day of the master.
    "text: benchmark",
    "real: years_to_maturity, clean_price, accrued_interest, dirty_price, yield_to_maturity, yield_to_worst",
    "real: current_yield, benchmark_yield, spread_to_benchmark, modified_duration, convexity, dv01",
    "tiny: liquidity_score",
)

_REPORT = "_report_id, _report_status, _report_method, _report_capacity, _report_party, _report_contra"

TRADES = _schema(
    # What the narrow trades hold, by the same names.
    "text: symbol",
    "time: ts",
    "long: trade_id",
    "real: price, size",
    "tiny: side",
    "text: dealer, venue",
    # The instrument.
    "text: isin, cusip, figi, name, segment, issuer, issuer_lei, sector, country, currency, rating",
    "real: coupon",
    "date: maturity",
    # Times.
    "date: trade_date, settlement_date",
    "time: order_ts, booked_ts, affirmed_ts, cleared_ts, published_ts",
    # The pair of reports: the dealer's, and that of a counterparty who has to report too.
    "text: " + _REPORT.replace("_report", "dealer_report"),
    "real: dealer_report_price, dealer_report_size",
    "time: dealer_report_ts",
    "flag: dealer_report_late",
    "text: " + _REPORT.replace("_report", "contra_report"),
    "real: contra_report_price, contra_report_size",
    "time: contra_report_ts",
    "flag: contra_report_late",
    "flag: reports_match",
    # Parties.
    "text: buyer, seller, buyer_lei, seller_lei, dealer_lei, client, client_lei, client_type, client_country",
    "text: trader, sales, desk, book, executing_broker, clearing_broker, custodian, prime_broker, introducing_broker",
    "text: investment_decision, beneficial_owner",
    # Price, amounts, yields and spreads.
    "real: accrued_interest, dirty_price, principal, accrued_amount, net_amount, commission, markup, fee",
    "int: accrued_days",
    "real: yield_to_maturity, yield_to_worst, current_yield",
    "text: benchmark",
    "real: benchmark_yield, spread_to_benchmark, modified_duration, convexity, dv01, position_dv01",
    # Foreign exchange: none where bond and settlement are in dollars.
    "text: settlement_currency",
    "real: usd_amount, fx_rate, fx_forward_points",
    "text: fx_pair, fx_source",
    "time: fx_ts",
    "real: settlement_amount",
    # Publication.
    "flag: published, deferred, capped, as_of_trade, special_price, weighted_average, portfolio_trade, cancelled",
    "flag: corrected, size_above_block",
    "real: published_size",
    "text: publication_venue, deferral_type",
    "time: deferred_until",
    "text: modifier_1, modifier_2, modifier_3, modifier_4",
    "long: original_trade_id",
    "text: correction_reason",
    # Order and execution.
    "text: order_id, parent_order_id, rfq_id, order_type, protocol, time_in_force, algorithm",
    "real: order_size, limit_price, cover_price",
    "text: cover_dealer",
    "int: dealers_asked, dealers_answered",
    "real: response_seconds",
    # Settlement and regulation.
    "text: settlement_type, settlement_location, settlement_status, clearing_house, netting_group",
    "int: allocations",
    "text: transaction_code, waiver, deferral_flag, short_sale, liquidity_class, reporting_entity, jurisdiction",
    "flag: agency_cross, affiliate_trade, away_from_market, give_up, riskless_principal, agency_principal_swap",
)
