-- ---
-- name        = "environment_switching"
-- title       = "One channel, or one family of channels, goes to another vendor by who calls"
-- severity    = "medium"
-- category    = "routing"
-- status      = "stable"
-- patterns    = ["P32"]
-- description = """
-- Finds channels whose accepted starts alternate between vendors, where who called (environment, region, host or ip of the caller, environment
-- or region of the end user) decides which one: two deployments with configurations of their own share the channel. One finding
-- per channel (variant channel: three starts at least, and each caller keeps to one vendor), and one per family of channels, whose names
-- differ in numbers only (variant family: each side has `starts_min` starts, and `share` of them fit; where hosts or addresses tell, one more,
-- and all). Names that nothing is like make one family of the app. A move from one vendor to another that is not taken back is a
-- migration, and none.
-- """
-- false_positives = ["storage by region of the user on purpose: one app, channels of its own in each region, under one naming scheme"]
-- response = """
-- Let one place decide on the storage of a channel, or give every environment channels and an app of its own; check that the records
-- say where each session really went.
-- """
-- identity = ["app_id", "family"]
--
-- [params]
-- starts_min = { type = "int64", default = 2, doc = "starts that each side of a family has" }
-- share      = { type = "float64", default = 0.9, doc = "share of a family's starts that who called must explain" }
-- sids_max   = { type = "int64", default = 100, doc = "sessions and events that a finding lists" }
--
-- [columns]
-- family = { type = "string", doc = "the channel, or the pattern of its names with # for each number" }
-- ---
WITH accepted AS (
    SELECT
        app_id,
        cname,
        sid,
        uid,
        event_id,
        requested_at,
        vendor_name,
        bucket,
        caller_environment,
        context_environment,
        caller_region,
        context_user_region,
        caller_host,
        caller_ip
    FROM started_sessions
    WHERE vendor_name IS NOT NULL AND app_id IS NOT NULL AND cname IS NOT NULL
),

channels AS (
    SELECT
        app_id,
        cname,
        regexp_replace(
            regexp_replace(cname, '[0-9A-Fa-f]{8}(-?[0-9A-Fa-f]{4}){3}-?[0-9A-Fa-f]{12}', '#', 'g'),
            '[0-9]+', '#', 'g'
        ) AS pattern,
        starts,
        vendor_name,
        is_mixed
    FROM (
        SELECT
            app_id,
            cname,
            count(*) AS starts,
            min(vendor_name) AS vendor_name,
            min(vendor_name) <> max(vendor_name) AS is_mixed
        FROM accepted
        GROUP BY app_id, cname
    )
),

scopes AS (
    -- A channel that went to two vendors is looked at by itself, all others with their family.
    SELECT app_id, cname, 'channel' AS variant, cname AS family
    FROM channels
    WHERE is_mixed AND starts >= 3
    UNION ALL
    SELECT app_id, unnest(cnames) AS cname, 'family' AS variant, family
    FROM (
        SELECT app_id, family, flatten(array_agg(cnames)) AS cnames
        FROM (
            -- Names that nothing is like are one family of the app.
            SELECT
                app_id,
                CASE WHEN count(*) > 1 THEN pattern ELSE '*' END AS family,
                array_agg(cname) AS cnames,
                min(vendor_name) AS least_vendor_name,
                max(vendor_name) AS greatest_vendor_name
            FROM channels
            WHERE NOT is_mixed
            GROUP BY app_id, pattern
        )
        GROUP BY app_id, family
        HAVING min(least_vendor_name) <> max(greatest_vendor_name)
    )
),

members AS (
    SELECT
        scopes.variant,
        scopes.family,
        accepted.app_id,
        accepted.cname,
        accepted.sid,
        accepted.uid,
        accepted.event_id,
        accepted.requested_at,
        accepted.vendor_name,
        accepted.bucket,
        accepted.caller_environment,
        accepted.context_environment,
        accepted.caller_region,
        accepted.context_user_region,
        accepted.caller_host,
        accepted.caller_ip
    FROM accepted
    INNER JOIN scopes
        ON scopes.app_id = accepted.app_id
        AND scopes.cname = accepted.cname
),

attributes AS (
    SELECT rank, attribute
    FROM (
        VALUES
            (1, 'environment of the caller'),
            (2, 'environment of the user'),
            (3, 'region of the caller'),
            (4, 'region of the user'),
            (5, 'host of the caller'),
            (6, 'ip of the caller')
    ) AS ranked (rank, attribute)
),

uses AS (
    -- How often each caller, by each of its attributes, went to each vendor.
    SELECT app_id, variant, family, rank, attribute, value, vendor_name, count(*) AS starts
    FROM (
        SELECT
            members.app_id,
            members.variant,
            members.family,
            members.vendor_name,
            attributes.rank,
            attributes.attribute,
            CASE attributes.rank
                WHEN 1 THEN members.caller_environment
                WHEN 2 THEN members.context_environment
                WHEN 3 THEN members.caller_region
                WHEN 4 THEN members.context_user_region
                WHEN 5 THEN members.caller_host
                ELSE members.caller_ip
            END AS value
        FROM members
        CROSS JOIN attributes
    )
    GROUP BY app_id, variant, family, rank, attribute, value, vendor_name
),

habits AS (
    -- The vendor that each caller mostly goes to.
    SELECT
        app_id,
        variant,
        family,
        rank,
        attribute,
        value,
        first_value(vendor_name ORDER BY starts DESC, vendor_name) AS habit,
        sum(starts) AS starts,
        array_agg(named_struct('vendor_name', vendor_name, 'starts', starts)) AS uses
    FROM uses
    GROUP BY app_id, variant, family, rank, attribute, value
),

fits AS (
    -- How many of the starts to each vendor come from callers that mostly go there.
    SELECT
        app_id,
        variant,
        family,
        rank,
        attribute,
        use['vendor_name'] AS vendor_name,
        sum(use['starts']) AS starts,
        sum(
            CASE
                WHEN value IS NOT NULL
                    AND habit = use['vendor_name']
                    AND (variant = 'channel' OR starts >= $starts_min)
                    THEN use['starts']
                ELSE 0
            END
        ) AS explained,
        count(*) AS callers,
        string_agg(value, ', ' ORDER BY use['starts'] DESC, value) AS told
    FROM (
        SELECT app_id, variant, family, rank, attribute, value, habit, starts, unnest(uses) AS use
        FROM habits
    )
    GROUP BY app_id, variant, family, rank, attribute, use['vendor_name']
),

deciders AS (
    -- The first attribute that explains the vendor both ways: who calls goes there, and who goes there is it.
    SELECT
        app_id,
        variant,
        family,
        first_value(attribute ORDER BY rank) AS attribute,
        first_value(told ORDER BY rank) AS told
    FROM (
        SELECT
            app_id,
            variant,
            family,
            rank,
            attribute,
            string_agg(
                concat(CASE WHEN callers > 5 THEN concat(callers, ' of them') ELSE told END, ' -> ', vendor_name),
                '; ' ORDER BY starts DESC, vendor_name
            ) AS told
        FROM fits
        GROUP BY app_id, variant, family, rank, attribute
        -- A host or an address belongs to one environment: each keeps to one vendor, and a few that do so by chance decide nothing.
        HAVING sum(explained) >= sum(starts) * CASE WHEN variant = 'channel' OR rank >= 5 THEN 1.0 ELSE $share END
            AND count(
                CASE
                    WHEN explained >= starts * CASE WHEN variant = 'channel' OR rank >= 5 THEN 1.0 ELSE $share END
                        AND (variant = 'channel' OR explained >= $starts_min + CASE WHEN rank >= 5 THEN 1 ELSE 0 END)
                        THEN 1
                END
            ) >= 2
            -- Where every start has a caller of its own, nothing is explained.
            AND sum(callers) < sum(starts)
    )
    GROUP BY app_id, variant, family
),

mosts AS (
    -- The vendor that most starts of the channel or family go to.
    SELECT app_id, variant, family, first_value(vendor_name ORDER BY starts DESC, first_at, vendor_name) AS vendor_name
    FROM (
        SELECT app_id, variant, family, vendor_name, count(*) AS starts, min(requested_at) AS first_at
        FROM members
        GROUP BY app_id, variant, family, vendor_name
    )
    GROUP BY app_id, variant, family
),

faults AS (
    SELECT
        deciders.app_id,
        deciders.variant,
        deciders.family,
        deciders.attribute,
        deciders.told,
        mosts.vendor_name,
        min(members.bucket) FILTER (WHERE members.vendor_name = mosts.vendor_name) AS bucket,
        count(*) FILTER (WHERE members.vendor_name = mosts.vendor_name) AS starts,
        count(*) FILTER (WHERE members.vendor_name <> mosts.vendor_name) AS other_starts,
        min(members.requested_at) FILTER (WHERE members.vendor_name = mosts.vendor_name) AS habit_from,
        max(members.requested_at) FILTER (WHERE members.vendor_name = mosts.vendor_name) AS habit_until,
        min(members.requested_at) FILTER (WHERE members.vendor_name <> mosts.vendor_name) AS other_from,
        max(members.requested_at) FILTER (WHERE members.vendor_name <> mosts.vendor_name) AS other_until,
        min(members.requested_at) AS first_at,
        max(members.requested_at) AS last_at,
        first_value(members.cname ORDER BY members.requested_at, members.sid)
            FILTER (WHERE members.vendor_name <> mosts.vendor_name) AS cname,
        first_value(members.uid ORDER BY members.requested_at, members.sid)
            FILTER (WHERE members.vendor_name <> mosts.vendor_name) AS uid,
        first_value(members.vendor_name ORDER BY members.requested_at, members.sid)
            FILTER (WHERE members.vendor_name <> mosts.vendor_name) AS other_vendor_name,
        first_value(members.bucket ORDER BY members.requested_at, members.sid)
            FILTER (WHERE members.vendor_name <> mosts.vendor_name) AS other_bucket,
        -- Of a channel all its sessions, of a family those that went to another vendor than most.
        array_agg(arrow_cast(members.sid, 'Utf8') ORDER BY members.requested_at, members.sid)
            FILTER (WHERE deciders.variant = 'channel' OR members.vendor_name <> mosts.vendor_name) AS sids,
        array_agg(arrow_cast(members.event_id, 'Utf8') ORDER BY members.requested_at, members.sid)
            FILTER (WHERE deciders.variant = 'channel' OR members.vendor_name <> mosts.vendor_name) AS event_ids
    FROM deciders
    INNER JOIN mosts
        ON mosts.app_id = deciders.app_id
        AND mosts.variant = deciders.variant
        AND mosts.family = deciders.family
    INNER JOIN members
        ON members.app_id = deciders.app_id
        AND members.variant = deciders.variant
        AND members.family = deciders.family
    GROUP BY
        deciders.app_id, deciders.variant, deciders.family, deciders.attribute, deciders.told, mosts.vendor_name
)

SELECT
    'medium' AS severity,
    variant,
    app_id,
    cname,
    uid,
    array_slice(sids, 1, $sids_max) AS sids,
    first_at,
    last_at,
    vendor_name AS expected_vendor,
    bucket AS expected_bucket,
    other_vendor_name AS actual_vendor,
    other_bucket AS actual_bucket,
    'environment_switching' AS root_cause,
    concat(
        CASE
            WHEN variant = 'channel' THEN concat('Channel ', family)
            WHEN family = '*' THEN 'The app''s channels'
            ELSE concat('The channels ', family)
        END,
        ' went to ', vendor_name, ' ', starts, ' times (', to_char(habit_from, '%Y-%m-%d %H:%M:%S%.3f'), ' UTC to ',
        to_char(habit_until, '%Y-%m-%d %H:%M:%S%.3f'), ') and in between elsewhere ', other_starts, ' times (',
        to_char(other_from, '%Y-%m-%d %H:%M:%S%.3f'), ' to ', to_char(other_until, '%Y-%m-%d %H:%M:%S%.3f'), '). The ',
        attribute, ' decides: ', told, '.'
    ) AS explanation,
    array_slice(event_ids, 1, $sids_max) AS evidence,
    family
FROM faults
-- To and fro: a move that is not taken back is a migration.
WHERE other_from <= habit_until AND other_until >= habit_from
ORDER BY first_at, app_id, variant, family
