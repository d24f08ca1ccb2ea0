-- What is wrong with the isolation of tenants, read from the catalogue itself. No rows = nothing.
with tenant_tables as (
    select c.oid, c.relname, c.relrowsecurity, c.relforcerowsecurity, c.relowner
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id' and not a.attisdropped
    where n.nspname = 'public' and c.relkind in ('r', 'p')
)
select relname::text as what, 'row-level security is not enabled' as problem from tenant_tables where not relrowsecurity
union all
select relname, 'row-level security is not forced on the owner' from tenant_tables where not relforcerowsecurity
union all
select relname, 'tenant_id may be null' from tenant_tables t
join pg_attribute a on a.attrelid = t.oid and a.attname = 'tenant_id' where not a.attnotnull
union all
select relname, 'no policy for all commands with USING and WITH CHECK on tenant_id' from tenant_tables t
where not exists (
    select 1 from pg_policy p
    where p.polrelid = t.oid and p.polcmd = '*' and p.polpermissive
      and pg_get_expr(p.polqual, p.polrelid) like '%tenant_id = ( SELECT (NULLIF(current_setting(''app.tenant_id''::text, true), ''''::text))::uuid%'
      and pg_get_expr(p.polwithcheck, p.polrelid) = pg_get_expr(p.polqual, p.polrelid))
union all
select relname, 'more than one policy: permissive ones widen each other' from tenant_tables t
where (select count(*) from pg_policy p where p.polrelid = t.oid) > 1
union all
select relname, 'no index led by tenant_id' from tenant_tables t
where not exists (
    select 1 from pg_index i
    join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = t.oid and a.attname = 'tenant_id' and i.indisvalid)
union all
select t.relname, 'foreign key ' || k.conname || ' to a tenant table leaves tenant_id out' from tenant_tables t
join pg_constraint k on k.conrelid = t.oid and k.contype = 'f'
join tenant_tables target on target.oid = k.confrelid
where not exists (
    select 1 from pg_attribute a where a.attrelid = t.oid and a.attname = 'tenant_id' and a.attnum = any (k.conkey))
union all
select r.rolname::text, 'the role is a superuser or bypasses row-level security' from pg_roles r
where r.rolname in ('omni_app', 'omni_owner') and (r.rolsuper or r.rolbypassrls)
union all
select r.rolname::text, 'the role is a member of another' from pg_auth_members m
join pg_roles r on r.oid = m.member where r.rolname in ('omni_app', 'omni_system')
union all
select c.relname::text, 'is owned by a working role' from pg_class c join pg_roles r on r.oid = c.relowner
where r.rolname in ('omni_app', 'omni_system')
union all
select c.relname::text, 'a view that runs with its owner''s rights' from pg_class c
join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('v', 'm')
  and not coalesce(c.reloptions @> array['security_invoker=true'], false)
union all
select p.proname::text, 'a SECURITY DEFINER function without a fixed search_path' from pg_proc p
join pg_namespace n on n.oid = p.pronamespace
where n.nspname = 'public' and p.prosecdef
  and not exists (select 1 from unnest(p.proconfig) setting where setting like 'search_path=%')
order by 1, 2
