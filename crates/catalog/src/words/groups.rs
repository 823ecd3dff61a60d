//! Nouns by what they belong to, so that what is learned of one is known of its kin.

/// Groups of nouns, each with its name.
pub(crate) const GROUPS: &[(&str, &str)] = &[
    (
        "money",
        "payment invoice refund payout withdrawal escrow mandate chargeback subscription order bill loan checkout \
         purchase deposit dispute donation tip bounty fund money cash credit debit charge remittance fee fine toll rent \
         premium prepayment overpayment installment gift giftcard voucher paylink balance salary wage claim repayment \
         settlement billing postage membership",
    ),
    (
        "trade",
        "position trade leverage margin option future share stock basket grid dca portfolio stoploss takeprofit fill \
         bracket gtt sip ipo bond etf equity forex contract perpetual perp market bet prediction auction bid offer \
         investment holding lot sl tp",
    ),
    (
        "crypto",
        "token nft eth ether sol btc bitcoin usdc usdt sat satoshi lightning onchain wallet transaction tx swap bridge \
         liquidity pool stake validator vault collateral lending airdrop allowance psbt erc20 multisig defi coin crypto \
         gas calldata bolt11 l402 x402 lamport wei blockchain evm solana bnb",
    ),
    (
        "books",
        "journal expense ledger timesheet payroll payrun payslip estimate quote receipt reimbursement posting voucher \
         payable receivable account creditnote creditmemo po quotation supplier vendor accrual depreciation budget tax",
    ),
    (
        "ads",
        "campaign ad adset adgroup bid budget keyword sponsor promotion boost advert advertisement",
    ),
    (
        "booking",
        "flight hotel room seat ride ticket reservation booking delivery shipment pickup courier table trip fare car \
         appointment parcel meal pizza food grocery domain number sim plan license licence esim addon upgrade rental",
    ),
    (
        "outward",
        "email sms mms whatsapp telegram fax call tweet push invite invitation newsletter mail voicemail otp \
         verification broadcast dm envelope signature imessage toot phone attendee guest invitee recipient survey",
    ),
    (
        "workspace",
        "channel thread comment reaction discussion conversation workspace team topic reply post chat note wiki",
    ),
    (
        "running",
        "workflow job pipeline build run dag execution deployment container instance server vm pod cluster service \
         function lambda scan crawl agent bot script command code sandbox notebook cell automation scenario flow \
         playbook macro training experiment backup migration routine scene machine droplet worker app application \
         stack release rollout replica node",
    ),
    (
        "code",
        "code script command sql cypher graphql javascript python shell bash expression statement cmd eval lua",
    ),
    (
        "whole",
        "file document page sheet config configuration content spreadsheet doc range dashboard",
    ),
    (
        "store",
        "table database collection index row record bucket object volume disk snapshot cache queue key namespace schema \
         column topic stream partition vector point entity memory",
    ),
    (
        "relation",
        "label tag member reaction role permission assignee watcher follower link star favorite group participant \
         attendee relation dependency breakpoint membership like bookmark pin collaborator",
    ),
    (
        "secret",
        "token key secret password credential certificate apikey session mfa passkey",
    ),
    (
        "device",
        "light lock door garage thermostat vacuum blind fan plug printer robot camera speaker volume player playback \
         track music tv drone alarm temperature brightness device switch",
    ),
    (
        "screen",
        "browser tab element mouse keyboard window dialog cookie click button form viewport cursor screen field selector",
    ),
    (
        "history",
        "history branch commit tag version revision release stash worktree",
    ),
    (
        "people",
        "user account customer client employee guest person contact lead profile",
    ),
    (
        "priced",
        "price amount currency usd eur symbol qty quantity invoice paid payment pay billing billed broker exchange \
         trading crypto market bookkeeping accounting cent charge money bank spend bidding fare passenger onchain \
         wallet fee cost purchase order dollar leverage bid",
    ),
];
