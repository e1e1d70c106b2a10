-- Records of sessions whose accepted start is not in the log: nothing tells when and to where it was answered.
SELECT DISTINCT
    session_beliefs.app_id,
    session_beliefs.cname,
    session_beliefs.sid,
    'a record names the session, but its accepted start is not in the log: when it was answered is not known' AS why
FROM session_beliefs
LEFT ANTI JOIN accepted_starts ON accepted_starts.sid = session_beliefs.sid
ORDER BY app_id, cname, sid
